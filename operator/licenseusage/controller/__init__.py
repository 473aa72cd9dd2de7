"""The operator: a work queue of keys, a level-based reconcile, and the cluster as its environment.

Read in this order: ``process`` starts everything, ``watch`` turns events into keys, ``workqueue``
orders them, ``reconcile`` does what is due for one key step by step, ``status`` says what was
found.
"""
