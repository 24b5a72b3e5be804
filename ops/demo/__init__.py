"""The demonstration: its tables, the packages it reads records from, and the run itself."""
