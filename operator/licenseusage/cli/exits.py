"""Exit codes of every command, and the errors that carry them (DESIGN §9)."""

OK = 0
NOT_OK = 1
"""The thing that was checked is not as it should be."""
USAGE = 2
"""The command line is wrong."""
UNDETERMINED = 3
"""It could not be found out: something is missing, unreadable or out of reach."""
