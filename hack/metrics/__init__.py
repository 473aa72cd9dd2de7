"""docs/metrics.md: the operator's metrics as a table, from the code."""
