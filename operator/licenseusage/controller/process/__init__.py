"""What runs as long as the operator: its start and end, the watch, clocks, logs and health."""
