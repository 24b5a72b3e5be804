"""Topics to tables: acceptor of triggers, sink of results."""
