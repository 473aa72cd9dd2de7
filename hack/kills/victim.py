"""The process that is killed: ``licenseusage operator``, with hooks around its effects.

``python -m hack.kills.victim JOURNAL`` imports the operator, says so in the journal, and waits for
one line on its standard input: ``{"env": {…}, "armed": {place: n}}``. So the next victim is ready
when the one before it dies. It never outlives whoever holds the other end of its standard input.
"""

import json
import os
import signal
import sys
import threading
from pathlib import Path

# A package for developers that the kubernetes client imports where it finds it, for seconds of
# processor time; the operator's image does not have it either.
sys.modules["kubernetes_validate"] = None  # type: ignore[assignment]

import licenseusage.cli.operator  # noqa: E402, F401 - what takes the time
from hack.kills import journal, places  # noqa: E402
from hack.kills.journal import Journal  # noqa: E402
from licenseusage.cli import main  # noqa: E402


def live() -> None:
    """Wait for the word, then be the operator."""
    written = Journal(Path(sys.argv[1]))
    written.write(journal.READY, os.getpid())
    told = sys.stdin.readline()
    if not told:
        return
    word = json.loads(told)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    os.environ.update(word["env"])
    places.install(places.Guillotine(word["armed"], written))
    sys.argv = ["licenseusage", "operator"]
    main()


def _die_with_parent() -> None:
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    live()
