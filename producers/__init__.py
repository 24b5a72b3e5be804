"""Tables and clock to topics: publisher, NOTIFY bridge, scheduler, chunk dispatcher; a client for others."""
