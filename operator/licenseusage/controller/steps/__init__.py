"""The steps of one reconcile, in order; `reconcile` is the list, each step a module."""
