"""What may be said: messages, topics, codec, settings, errors and SQL migrations."""
