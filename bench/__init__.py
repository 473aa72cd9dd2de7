"""How long one collection takes and how much memory, next to what else one might do.

``python -m bench`` starts a server with rendered answers and lets each contender read it, each in a
process of its own, all on this machine and in the same run.
"""
