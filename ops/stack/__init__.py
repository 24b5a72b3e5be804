"""The embedded stack: broker, database and services as child processes under one small supervisor."""
