"""Effects: the API server, the thread of the ledger, workers, the vendor."""
