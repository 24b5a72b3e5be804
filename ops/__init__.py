"""The only room that sees all others: command line, loaders, embedded stack, demo, explain."""
