"""What one reconcile does, in order; `reconcile` is the list, each step a module."""
