"""Proves that killing the operator loses and doubles nothing (`make kills`).

The real operator runs on a real control plane, is killed by SIGKILL again and again while cycles
end, and is judged by what is left: the vendor's store, the ledger, the objects, and a journal of
what the killed processes had committed. The way of this package: ``plan`` decides the lives,
``run`` lives them (``victim`` is the process that dies, ``places`` is where it can),
``aftermath`` and ``evidence`` are what it leaves, ``verdict`` judges, ``tally`` tells.
"""
