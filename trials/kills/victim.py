"""The process that is killed: ``licenseusage operator``, with hooks around its effects.

A script for `trials.forked`: ``victim.py JOURNAL ARMED``, where ``ARMED`` is ``{place: n}`` as
JSON. It never outlives whoever holds the other end of its standard input.
"""

import json
import os
import signal
import sys
import threading
from pathlib import Path

from licenseusage.cli import main
from trials.kills import places
from trials.kills.journal import Journal


def live() -> None:
    """Be the operator."""
    journal, armed = sys.argv[1:]
    threading.Thread(target=_die_with_parent, daemon=True).start()
    places.install(places.Guillotine(json.loads(armed), Journal(Path(journal))))
    sys.argv = ["licenseusage", "operator"]
    main()


def _die_with_parent() -> None:
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    live()
