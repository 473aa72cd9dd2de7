"""The process that is killed: ``licenseusage operator``, with hooks around its effects.

``python -m trials.kills.victim JOURNAL`` imports the operator, says so in the journal, and waits
for one line on its standard input: ``{"env": {…}, "armed": {place: n}}``. So the next victim is
ready when the one before it dies. It never outlives whoever holds the other end of its standard
input.
"""

import json
import os
import signal
import sys
import threading
from pathlib import Path

# As `licenseusage.cli.operator` does, before what takes the time is imported.
sys.modules.setdefault("kubernetes", None)  # type: ignore[arg-type]

import licenseusage.controller.process.start  # noqa: E402, F401
from licenseusage.cli import main  # noqa: E402
from trials.kills import journal, places  # noqa: E402
from trials.kills.journal import Journal  # noqa: E402


def live() -> None:
    """Wait for the word, then be the operator."""
    written = Journal(Path(sys.argv[1]))
    written.write(journal.READY, os.getpid())
    line = sys.stdin.readline()
    if not line:
        return
    word = json.loads(line)
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
