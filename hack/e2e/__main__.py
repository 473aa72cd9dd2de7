"""``python -m hack.e2e``: the run, its exit code, and its result."""

import os
import signal
import sys
import tempfile
from pathlib import Path
from types import FrameType

from hack.controlplane import ControlPlaneError
from hack.controlplane.progress import Progress
from hack.e2e.errors import Ended
from hack.e2e.installation import ROOT
from hack.e2e.outcome import Outcome
from hack.e2e.run import clean, reached, run
from hack.e2e.settings import read


def main() -> int:
    """Run; return 0 if all is true, 1 if not, 2: refused, 3: something is missing, 130: Ctrl-C."""
    signal.signal(signal.SIGTERM, _end)
    outcome = Outcome(Progress(about="e2e"))
    try:
        settings = read(sys.argv[1:], os.environ, ROOT)
        with tempfile.TemporaryDirectory(prefix="licenseusage-e2e-") as name:
            folder = Path(name)
            target, commands = reached(settings, folder)
            outcome.progress.say(f"context {target.context}, {target.server}")
            code = 0
            try:
                if settings.clean:
                    clean(commands, outcome)
                else:
                    run(settings, target, commands, folder, outcome)
            except Ended as ended:
                code = ended.code
                _tell(outcome, ended)
            if settings.json:
                print(outcome.json(image=str(settings.image), context=target.context))
            return code
    except Ended as ended:
        _tell(outcome, ended)
        return ended.code
    except ControlPlaneError as error:
        print(f"error: {error}", file=sys.stderr)
        return 3
    except KeyboardInterrupt:
        outcome.progress.say("stopped; what the run made is removed, unless a line above says not")
        return 130


def _tell(outcome: Outcome, ended: Ended) -> None:
    print(f"error: {ended}", file=sys.stderr)
    if outcome.evidence is not None:
        print(f"What was seen is in {outcome.evidence}", file=sys.stderr)


def _end(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
