"""Files into tables: `riskflow load`, and blocks of arrays for tests, benchmarks and the demo."""
