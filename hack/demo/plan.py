"""When the demo plays: a cycle of thirty days ends about a minute after the operator starts."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final

DAY: Final = 86_400
CYCLE_DAYS: Final = 30


@dataclass(frozen=True, slots=True)
class Plan:
    """The simulated time: the machine's clock plus ``offset_seconds``.

    Attributes:
        offset_seconds: Never positive (kubectl shows dates in the future as ``<invalid>``).
        start: The cycle's first second since the epoch, a UTC midnight.
        end: The first second after the cycle, the machine's last UTC midnight.
    """

    offset_seconds: int
    start: int
    end: int

    @property
    def anchor(self) -> date:
        """The day the cycle starts."""
        return datetime.fromtimestamp(self.start, UTC).date()

    @property
    def words(self) -> str:
        """How the clock is set, for the reader: two clocks are on the screen."""
        hours, minutes = divmod(-self.offset_seconds // 60, 60)
        back = f"{hours} h {minutes} min"
        end = datetime.fromtimestamp(self.end, UTC).strftime("%Y-%m-%d %H:%M:%S")
        return (
            f"The clock of product, vendor and operator is set back by {back}, so that the cycle "
            f"ends at {end} UTC, in about a minute.\n"
            f"etcd and kube-apiserver keep the machine's clock: what kubectl shows as AGE is real, "
            f"and AS-OF and REPORTED look {back} older than they are."
        )

    @property
    def environment(self) -> dict[str, str]:
        """What gives a process the simulated clock."""
        return {
            "LICENSEUSAGE_DEV": "1",
            "LICENSEUSAGE_DEV_CLOCK_OFFSET_SECONDS": str(self.offset_seconds),
        }


def plan(now: float, lead_seconds: int) -> Plan:
    """Return the time shift after which the last UTC midnight is ``lead_seconds`` away.

    Args:
        now: The machine's time, seconds since the epoch.
        lead_seconds: Simulated seconds from ``now`` to the cycle's end, 1 or more.
    """
    end = int(now) // DAY * DAY
    return Plan(end - lead_seconds - int(now), end - CYCLE_DAYS * DAY, end)
