"""Seeded weather, annual indices and sites for tests, benchmarks and the demo without its data packages."""
