"""The web page and the HTTP API behind it: reads ledger and results, asks for jobs, computes nothing."""
