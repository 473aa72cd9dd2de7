"""Months of ordinary installations: which class of number do their finals get?

One operator process, one product, nothing that lies and nobody who is killed: only what happens to
everybody. The product's nightly maintenance, an outage at the end of a month, accounts that are
erased, somebody who moves into an excluded group. Reconcile with its own schedule, sources, ledger
and rules are the operator's own code, at its own intervals; simulated are time and the product
(see ``trials.soak``, whose parts these are). The truth is known, so that every final is judged too.
"""
