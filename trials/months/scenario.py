"""What can happen in the months of an ordinary installation: the rows of the table."""

from dataclasses import dataclass

from trials.soak.people import DAY_MS, HOUR_MS, MINUTE_MS

REMOVALS = ("Never", "ListedOnce")


@dataclass(frozen=True, slots=True)
class Outage:
    """When nothing can be read, by the ends of days or of months.

    Attributes:
        words: As the table shows it.
        before_ms: How long before the end it begins.
        after_ms: How long after the end it lasts.
        nightly: At the end of every day, not of every month only.
    """

    words: str
    before_ms: int = 0
    after_ms: int = 0
    nightly: bool = False

    def spans(self, start_ms: int, ends: tuple[int, ...]) -> list[tuple[int, int]]:
        """Return the spans between ``start_ms`` and the last of the months' ends, half-open."""
        if not self.before_ms + self.after_ms:
            return []
        days = range(start_ms // DAY_MS + 1, ends[-1] // DAY_MS + 1)
        at = [day * DAY_MS for day in days] if self.nightly else ends
        return [(end - self.before_ms, end + self.after_ms) for end in at]


OUTAGES = (
    Outage("none"),
    Outage("22:00 to 24:00 every night", 2 * HOUR_MS, nightly=True),
    Outage("23:00 to 01:00 every night", HOUR_MS, HOUR_MS, nightly=True),
    Outage("the month's last 6 hours", 6 * HOUR_MS),
    Outage("30 minutes around the month's end", 15 * MINUTE_MS, 15 * MINUTE_MS),
    Outage("the month's last 30 hours", 30 * HOUR_MS),
)
ERASURES = (0, 1, 5)


@dataclass(frozen=True, slots=True)
class Scenario:
    """One installation.

    Attributes:
        preset: How the product is read.
        removal: What is declared of it.
        outage: When it cannot be read.
        erased: Accounts erased each month, of people who were active in it.
        excluded: Users moved into an excluded group each month.
    """

    preset: str
    removal: str
    outage: Outage = OUTAGES[0]
    erased: int = 0
    excluded: int = 0

    @property
    def words(self) -> tuple[str, str, str, str, str]:
        """As the table shows it: preset, removal, outage, erased, excluded."""
        return self.preset, self.removal, self.outage.words, str(self.erased), str(self.excluded)


def scenarios() -> list[Scenario]:
    """Return the rows of the table in docs/measurement.md.

    With the product that this was made for, declared either way: every outage with an account
    erased a month, and every number of erasures without an outage and with a nightly one. The other
    presets, whose lists have several pages, as they are declared.
    """
    rows = []
    for removal in REMOVALS:
        pairs = [(outage, erased) for outage in OUTAGES[:2] for erased in ERASURES]
        pairs += [(outage, 1) for outage in OUTAGES[2:]]
        rows += [Scenario("OpenCloud", removal, outage, erased) for outage, erased in pairs]
        rows.append(Scenario("OpenCloud", removal, excluded=1))
    for preset, removal in (("JupyterHub", "ListedOnce"), ("Standard", "Never")):
        rows += [Scenario(preset, removal, outage, 1) for outage in OUTAGES[:2]]
    return rows
