"""``python -m hack.demo``: ONCE=1 ends by itself, LICENSE=none plays without a licence."""

import os
import signal
import sys
from types import FrameType

from hack.demo.failure import Failed
from hack.demo.screen import Screen
from hack.demo.story import play


def main() -> int:
    """Play; return 0 if all of it was true, 1 if not, 2 for a wrong variable, 130 for Ctrl-C."""
    license_word = os.environ.get("LICENSE", "")
    if license_word not in ("", "none"):
        print(f"LICENSE={license_word!r} is not known: leave it out, or say LICENSE=none")
        return 2
    signal.signal(signal.SIGTERM, _end)
    screen = Screen()
    once = os.environ.get("ONCE", "") not in ("", "0")
    try:
        return 0 if play(screen, once=once, licensed=license_word == "") else 1
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
