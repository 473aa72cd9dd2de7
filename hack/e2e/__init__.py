"""`make e2e`: an installation on a real cluster, from the image to its removal, as a user does it.

Read ``story.py`` first: it is the whole way, step by step. ``target`` decides whether a cluster may
be used at all, ``claim`` what on it is ours; ``supply`` brings the image there. ``overlay`` and
``chart`` are the two ways to install. ``vendor`` and ``product`` are the two sides whose numbers
must agree, ``reports`` judges what was sent. ``commands`` runs every other program, ``waiting``
waits, ``evidence`` writes down what was seen when a step failed, ``outcome`` shows the result.
"""
