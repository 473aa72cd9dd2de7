"""Activity that the product sends: what a request says, and whom its events are about."""
