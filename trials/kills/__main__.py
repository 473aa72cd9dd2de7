"""``python -m trials.kills --kills 200 --seed 1``: kills the operator, and sees what is lost."""

import argparse
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from types import FrameType

from hack.controlplane import ControlPlane
from trials.kills import tally
from trials.kills.places import BY_DEEDS, PLACES, unlisted
from trials.kills.plan import Plan, enough_for
from trials.kills.run import METERS, Run
from trials.kills.verdict import judge

_SWEEPS = {"all": PLACES, "deeds": BY_DEEDS}
_SHARES = {"all": (0.9, 0.3), "deeds": (0.2, 0.9)}
"""Of lives that may end anywhere, and of lives with deeds before them."""


def main() -> int:
    """Return 0 if everything holds, 1 if not, 130 for Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m trials.kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=200, metavar="N", help="default 200")
    parser.add_argument(
        "--sweep",
        choices=list(_SWEEPS),
        default="all",
        help="kill at every place (default), or at those that an administrator's deeds lead to",
    )
    parser.add_argument("--seed", type=int, default=int(time.time()), metavar="S")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, _end)
    sweep, begun = _SWEEPS[asked.sweep], time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="licenseusage-kills-"))
    print(f"{asked.kills} kills with seed {asked.seed}; evidence in {folder}", flush=True)
    try:
        with ControlPlane() as cp:
            rng = random.Random(f"lives {asked.seed}")  # noqa: S311 - repeatable, not secret
            wander, deeds = _SHARES[asked.sweep]
            plan = Plan(rng, asked.kills, METERS, list(sweep), wander=wander, deeds=deeds)
            run = Run(cp, folder, plan, seed=asked.seed)
            evidence = run.play(lambda text: print(text, flush=True))
            judged = judge(evidence, run.record.committed)
    except KeyboardInterrupt:
        shutil.rmtree(folder, ignore_errors=True)
        print("Stopped; nothing is left running.")
        return 130
    run.record.troubles += [
        f"passed, but not in the sweep: {p}" for p in unlisted(run.record.passed)
    ]
    unreached = [place for place in sweep if not run.record.killed_at[place]]
    if unreached and asked.kills >= enough_for(sweep):
        run.record.troubles.append("the sweep is not complete")
    for line in tally.lines(run.record, judged, unreached, time.monotonic() - begun):
        print(line)
    if run.record.troubles or judged.violations:
        print(
            f"NOT PROVED. Again: python -m trials.kills --kills {asked.kills} --seed {asked.seed}"
        )
        print(f"The ledger, the vendor's store, the journal and the logs are kept in {folder}")
        return 1
    shutil.rmtree(folder)
    print("Every cycle has exactly one accepted final, and every number holds.")
    return 0


def _end(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
