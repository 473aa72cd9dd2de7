"""``python -m hack.nats``: have a NATS server for the tests, built the first time.

Without one, tests that need it are skipped by name; in CI (``CI`` is set) that is an error.
"""

import os
import sys

from hack.controlplane.progress import Progress
from hack.nats.program import NoServer, find


def main() -> int:
    """Find or build it; 0 if that went well or may be left out, else 3."""
    try:
        program = find()
    except NoServer as missing:
        if os.environ.get("CI"):
            print(f"error: {missing}", file=sys.stderr)
            return 3
        print(f"nats-server: {missing}\nIts tests will be skipped.", file=sys.stderr)
        return 0
    Progress(about="nats-server").say(f"ready: {program}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
