"""Tables and clock to topics: publisher, NOTIFY bridge, chunk dispatcher."""
