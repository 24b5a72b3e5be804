"""Results for analysts: CSV, GeoJSON, Parquet and NetCDF files, pandas frames and xarray datasets."""
