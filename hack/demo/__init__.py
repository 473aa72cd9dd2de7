"""`make demo`: the whole way of a number, in two minutes of a simulated month's end.

Read ``story.py`` first: it is the demo from top to bottom. ``way`` says where the reports go, and
``plan`` when; ``stage`` sets up cluster, vendor and product, ``children`` and ``leash`` run the
processes, ``traffic`` signs people in, ``watching`` tells what changed, ``carry`` is the way by a
file (MODE=export), ``verdict`` checks it, ``paper`` writes the statement, ``screen`` shows it.
"""
