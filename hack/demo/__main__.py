"""``python -m hack.demo``: ONCE=1 ends by itself; MODE=export, LICENSE=none are other plays."""

import os
import signal
import sys
from types import FrameType

from hack.demo.failure import Failed
from hack.demo.screen import Screen
from hack.demo.story import play
from hack.demo.way import Way, WrongVariable


def main() -> int:
    """Play; return 0 if all of it was true, 1 if not, 2 for a wrong variable, 130 for Ctrl-C."""
    try:
        way = Way.chosen(os.environ)
    except WrongVariable as wrong:
        print(wrong)
        return 2
    signal.signal(signal.SIGTERM, _end)
    screen = Screen()
    once = os.environ.get("ONCE", "") not in ("", "0")
    try:
        return 0 if play(screen, once=once, way=way) else 1
    except Failed as failed:
        screen.plain(str(failed))
        return 1
    except KeyboardInterrupt:
        screen.plain("Stopped; nothing is left running.")
        return 130


def _end(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
