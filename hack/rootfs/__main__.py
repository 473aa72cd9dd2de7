"""``python -m hack.rootfs``: have the image's root file system for the tests.

Where none can be made, tests that need it are skipped by name; in CI (``CI`` is set) that is an
error.
"""

import os
import sys
from pathlib import Path

from hack.controlplane.progress import Progress
from hack.rootfs.build import StepFailed, build
from hack.rootfs.container import NoContainers
from hack.rootfs.dockerfile import NotUnderstood

ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    """Build it, or find that nothing changed; 0 if that went well or may be left out, else 3."""
    progress = Progress(about="root file system")
    try:
        image = build(ROOT, ROOT / "operator" / "Dockerfile", progress)
    except NoContainers as missing:
        if not os.environ.get("CI"):
            print(f"root file system: {missing}\nIts tests will be skipped.", file=sys.stderr)
            return 0
        print(f"error: {missing}", file=sys.stderr)
        return 3
    except (StepFailed, NotUnderstood) as failed:
        print(f"error: operator/Dockerfile: {failed}", file=sys.stderr)
        return 3
    progress.say(f"ready: {image.root}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
