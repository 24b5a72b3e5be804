-- What the climate jobs read. Takes over a climate_data table that another system already fills.

CREATE SCHEMA IF NOT EXISTS riskflow;

CREATE TABLE IF NOT EXISTS climate_data (
    latitude  numeric(10, 6)   NOT NULL,
    longitude numeric(10, 6)   NOT NULL,
    year      integer          NOT NULL,
    month     integer          NOT NULL,
    ta        double precision,
    tamax     double precision,
    tamin     double precision,
    rn        double precision,
    rhm       double precision,
    ws        double precision,
    si        double precision
);

ALTER TABLE climate_data
    ADD COLUMN IF NOT EXISTS ta        double precision,
    ADD COLUMN IF NOT EXISTS tamax     double precision,
    ADD COLUMN IF NOT EXISTS tamin     double precision,
    ADD COLUMN IF NOT EXISTS rn        double precision,
    ADD COLUMN IF NOT EXISTS rhm       double precision,
    ADD COLUMN IF NOT EXISTS ws        double precision,
    ADD COLUMN IF NOT EXISTS si        double precision,
    ADD COLUMN IF NOT EXISTS wet_days  double precision,
    ADD COLUMN IF NOT EXISTS scenario  text NOT NULL DEFAULT 'historical';

-- An older table may hold coordinates as double precision or keys as varchar. Only what differs is
-- altered, because a view that uses a column forbids it.
CREATE FUNCTION riskflow.ensure_type(owner regclass, field name, wanted text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = owner AND attname = field) <> wanted THEN
        EXECUTE format('ALTER TABLE %s ALTER COLUMN %I TYPE %s', owner, field, wanted);
    END IF;
END $$;

SELECT riskflow.ensure_type('climate_data', field, 'numeric(10,6)') FROM unnest(ARRAY['latitude', 'longitude']) AS field;

CREATE TABLE climate_data_superseded (LIKE climate_data);

WITH ranked AS (
    SELECT ctid, row_number() OVER (
               PARTITION BY latitude, longitude, scenario, year, month ORDER BY ctid DESC) AS place
    FROM climate_data
), older AS (
    DELETE FROM climate_data WHERE ctid IN (SELECT ctid FROM ranked WHERE place > 1) RETURNING *
)
INSERT INTO climate_data_superseded SELECT * FROM older;

CREATE UNIQUE INDEX climate_data_key ON climate_data (latitude, longitude, scenario, year, month);

COMMENT ON TABLE climate_data IS 'Monthly climate per grid cell: degC, mm/month, %, m/s at 10 m, MJ/m2/day, days';
COMMENT ON TABLE climate_data_superseded IS 'Rows of climate_data that a later row with the same key replaced at takeover';

-- The grid: every cell that has climate or site attributes. Unknown attributes are null.
CREATE TABLE grid_cells (
    latitude       numeric(10, 6) NOT NULL,
    longitude      numeric(10, 6) NOT NULL,
    elevation_m    double precision,
    coast_km       double precision,
    river_km       double precision,
    imperviousness double precision CHECK (imperviousness BETWEEN 0 AND 1),
    slope          double precision,
    land_cover     text CHECK (land_cover IN ('forest', 'grassland', 'cropland', 'urban', 'water', 'other')),
    station        text,
    basin          text,
    source         text,
    PRIMARY KEY (latitude, longitude)
);

-- Annual indices that need daily weather. The baseline is that of the thresholds (TX90, TN10).
CREATE TABLE climate_extremes (
    latitude       numeric(10, 6) NOT NULL,
    longitude      numeric(10, 6) NOT NULL,
    scenario       text           NOT NULL DEFAULT 'historical',
    year           integer        NOT NULL,
    wsdi           double precision,
    csdi           double precision,
    rx1day         double precision,
    fwi_days       double precision,
    fwi_max        double precision,
    valid_days     integer,
    baseline_start integer,
    baseline_end   integer,
    PRIMARY KEY (latitude, longitude, scenario, year)
);
CREATE INDEX climate_extremes_scenario ON climate_extremes (scenario);

-- Thresholds per calendar day (365) of the historical baseline, for the scenarios of the same cell.
CREATE TABLE climate_thresholds (
    latitude       numeric(10, 6) NOT NULL,
    longitude      numeric(10, 6) NOT NULL,
    baseline_start integer        NOT NULL,
    baseline_end   integer        NOT NULL,
    tx90           bytea          NOT NULL,
    tn10           bytea          NOT NULL,
    PRIMARY KEY (latitude, longitude)
);
COMMENT ON TABLE climate_thresholds IS 'tx90 and tn10: 365 big-endian float8 each, degC, NaN where unknown';

CREATE TABLE sea_level_stations (
    station    text PRIMARY KEY,
    latitude   double precision NOT NULL,
    longitude  double precision NOT NULL,
    location_m double precision NOT NULL,
    scale_m    double precision NOT NULL CHECK (scale_m > 0),
    shape      double precision NOT NULL,
    source     text
);

CREATE TABLE sea_level_rise (
    station  text             NOT NULL,
    scenario text             NOT NULL,
    year     integer          NOT NULL,
    rise_mm  double precision NOT NULL,
    source   text,
    PRIMARY KEY (station, scenario, year)
);

CREATE TABLE water_basins (
    basin          text PRIMARY KEY,
    renewable_mcm  double precision NOT NULL CHECK (renewable_mcm > 0),
    withdrawal_mcm double precision NOT NULL CHECK (withdrawal_mcm >= 0),
    source         text
);

CREATE TABLE water_demand (
    scenario text             NOT NULL,
    year     integer          NOT NULL,
    ratio    double precision NOT NULL CHECK (ratio >= 0),
    source   text,
    PRIMARY KEY (scenario, year)
);

CREATE TABLE climate_warming (
    scenario text             NOT NULL,
    year     integer          NOT NULL,
    dt_c     double precision NOT NULL,
    source   text,
    PRIMARY KEY (scenario, year)
);

CREATE TABLE storm_fixes (
    storm_id     text             NOT NULL,
    time         timestamptz      NOT NULL,
    latitude     double precision NOT NULL,
    longitude    double precision NOT NULL,
    wind_ms      double precision,
    pressure_hpa double precision,
    rmw_km       double precision,
    source       text,
    PRIMARY KEY (storm_id, time)
);
CREATE INDEX storm_fixes_time ON storm_fixes (time);
