"""To have a program before the tests that need it.

Without one, they are skipped by name; in CI (``CI`` is set) that is an error.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path

from hack.controlplane.progress import Progress


class NoProgram(Exception):
    """There is no such program, and none can be had here; the message says what helps."""


def prepare(name: str, find: Callable[[], Path]) -> int:
    """Find a program, or build it; 0 if that went well or it may be left out, else 3.

    Args:
        name: What messages call it.
        find: Returns its program; raises `NoProgram`.
    """
    try:
        program = find()
    except NoProgram as missing:
        if os.environ.get("CI"):
            print(f"error: {missing}", file=sys.stderr)
            return 3
        print(f"{name}: {missing}\nIts tests will be skipped.", file=sys.stderr)
        return 0
    Progress(about=name).say(f"ready: {program}")
    return 0
