"""Event logs that a product serves over HTTP: all events between two times, sorted by time."""
