"""Check, back up, restore, join and merge ledgers; the operator does not run."""
