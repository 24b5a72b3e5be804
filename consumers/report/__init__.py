"""The weekly report of one tenant: its data, its charts, its page and its files."""
