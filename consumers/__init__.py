"""Topics to tables and people: acceptor of triggers, sinks of results, reports and their delivery."""
