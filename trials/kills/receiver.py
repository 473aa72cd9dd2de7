"""The vendor's process: ``licenseusage receiver`` on a clock that follows a file.

``python -m trials.kills.receiver FILE ARGUMENT…``: FILE holds the offset in seconds, and may be
replaced while the receiver runs, as the operator's next life begins at another time.
"""

import sys
import time
from pathlib import Path

import licenseusage.cli.receiver as command
from licenseusage.cli import main


class FollowingClock:
    """The machine's clock, shifted by what the file says now."""

    def __init__(self, file: Path) -> None:
        """Follow ``file``."""
        self._file = file

    def now_ms(self) -> int:
        """Milliseconds since 1970-01-01T00:00:00Z, shifted."""
        return time.time_ns() // 1_000_000 + 1000 * int(self._file.read_text())


if __name__ == "__main__":
    clock = FollowingClock(Path(sys.argv.pop(1)))
    setattr(command, "clock_from", lambda _: clock)  # noqa: B010 - it is not for others to set
    sys.argv[:1] = ["licenseusage", "receiver"]
    main()
