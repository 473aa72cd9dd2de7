"""Redis Streams as an event log."""
