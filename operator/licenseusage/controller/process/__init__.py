"""The process: its start and end, the watch, clocks, logs and health."""
