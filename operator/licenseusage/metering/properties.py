"""The declared properties of a source, on which a statement depends (MEASUREMENT §1)."""

from dataclasses import dataclass
from enum import StrEnum

from licenseusage.metering.countwindows import CountWindow
from licenseusage.metering.cycles import DAY_MS

SECOND_MS = 1000


class Guarantee(StrEnum):
    """Guarantees that answers can refute; a refuted one proves nothing (MEASUREMENT §2).

    ``REMOVAL_NEVER``: somebody left a list that loses nobody, or his id is another one now.
    ``LISTED_ONCE``: somebody was active who was in no complete list. ``SHOWN``: activity that was
    shown once stays shown, and shows at the latest after the lag. ``PRODUCERS``: nobody pushes but
    the producers that are declared. ``ONE_LOG``: the pods of a source keep one event log together.
    """

    REMOVAL_NEVER = "RemovalNever"
    LISTED_ONCE = "RemovalListedOnce"
    SHOWN = "ActivityShown"
    PRODUCERS = "ProducersDeclared"
    ONE_LOG = "OneLog"


class Removal(StrEnum):
    """Whether users can leave the listing; the property that decides whether an upper bound exists.

    ``NEVER``: listed for ever (products that deactivate, and list the deactivated): K = infinity.
    ``LISTED_ONCE``: removed at any time, but whoever was active was in a complete poll before: a
    roster gives an upper bound of the cycle (``roster``). ``UNKNOWN``: lower bound only.
    """

    NEVER = "Never"
    LISTED_ONCE = "ListedOnce"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True)
class Properties:
    """Declared properties of a list of users, or of a log. Spans in ms.

    Attributes:
        granularity_ms: g: the value v means a stamp in ``[v, v + g)``.
        skew_ms: e: ``|stamp - true time| <= e``. 0 where the product's own recorded time is the
            definition of activity (the default of this project).
        lag_ms: L: an activity at t is shown at the latest at t + L.
        hidden_ms: H: a shown v does not rule out activity in ``(v, v + H]``.
        removal: K: whether listed users can leave.
        log: An event log (kind D): what was read of it proves stretches of time, whoever is listed
            anywhere; ``removal`` is ``NEVER``.
        pushed: A log whose producers push it, and say themselves up to when they have sent all.
        window: A list without times (kind B): whoever was active in it is listed. ``NEVER`` says
            that nobody leaves before his activity has left the window, or comes back without any.
            None: the list has times, or it is a log.
        age_ms: With a window: the list was computed at most so long before it was read.
        roster_gap_ms: With ``LISTED_ONCE``: how far two complete polls may lie apart. A setting:
            nobody is believed to be created, used and removed within it.
        ids_stable: An id is never renamed or swapped.
        id_reuse: An id may be given to another user later.
        initial_created: The value starts as the creation time, so an unused account looks used.
        created_tolerance_ms: How far value and creation time may lie apart and still be that case.
        refuted: What the product's answers have refuted since it was declared so; nothing of it is
            believed any more.
    """

    granularity_ms: int = SECOND_MS
    skew_ms: int = 0
    lag_ms: int = 60_000
    hidden_ms: int = 0
    removal: Removal = Removal.UNKNOWN
    ids_stable: bool = False
    id_reuse: bool = False
    initial_created: bool = False
    created_tolerance_ms: int = 0
    roster_gap_ms: int = DAY_MS
    log: bool = False
    pushed: bool = False
    window: CountWindow | None = None
    age_ms: int = 0
    refuted: frozenset[Guarantee] = frozenset()

    def __post_init__(self) -> None:
        """Refuse values that no rule covers.

        Raises:
            ValueError: A span is negative, or the granularity below one millisecond.
        """
        spans = (self.skew_ms, self.lag_ms, self.hidden_ms, self.created_tolerance_ms, self.age_ms)
        if self.granularity_ms < 1 or min(spans) < 0:
            raise ValueError(f"spans must not be negative, granularity at least 1 ms: {self}")

    @property
    def width_ms(self) -> int:
        """How much later than the value shown the activity may be: v + g - 1 + e."""
        return self.granularity_ms - 1 + self.skew_ms

    @property
    def shown_after_ms(self) -> int:
        """How long before the reading of a list an activity must lie to be in it for sure."""
        return self.age_ms + max(self.lag_ms, self.skew_ms if self.window is not None else 0)

    @property
    def believed(self) -> Removal:
        """The declared removal, or the weaker one that remains after refutations."""
        removal = self.removal
        if removal is Removal.NEVER and Guarantee.REMOVAL_NEVER in self.refuted:
            removal = Removal.LISTED_ONCE
        if removal is Removal.LISTED_ONCE and Guarantee.LISTED_ONCE in self.refuted:
            removal = Removal.UNKNOWN
        return removal

    @property
    def loses_users(self) -> bool:
        """Whether users left a list that loses nobody, or came late to it: ids may be false.

        Then those count only who were listed together: if ids change, the same person may have been
        seen under one that is gone, or is to come.
        """
        shown = {Guarantee.REMOVAL_NEVER, Guarantee.SHOWN} & self.refuted
        return self.removal is Removal.NEVER and not self.log and bool(shown)

    @property
    def keeps_activity(self) -> bool:
        """Whether what was read late enough rules out activity that it does not show."""
        needed = {Guarantee.SHOWN, Guarantee.PRODUCERS, Guarantee.ONE_LOG}
        return not needed & self.refuted

    @property
    def keeps_users(self) -> bool:
        """Whether a complete listing proves the absent inactive (K = infinity)."""
        return self.believed is Removal.NEVER and self.keeps_activity

    @property
    def keeps_roster(self) -> bool:
        """Whether a roster of everybody ever listed gives the cycle an upper bound."""
        listed_once = self.believed is Removal.LISTED_ONCE and self.keeps_activity
        return listed_once and self.ids_stable and self.window is None

    def assumptions(self) -> tuple[str, ...]:
        """Tokens for ``rules.assumptions`` of the report: the properties that accuracy rests on."""
        bounded = self.keeps_users or self.keeps_roster
        listed = not self.log
        assumed = {
            "RemovalNever": listed and self.keeps_users,
            "WindowAsDeclared": self.window is not None,
            "RemovalListedOnce": self.keeps_roster,
            "IdsStable": self.ids_stable and not self.loses_users,
            "ProducersComplete": self.pushed and self.keeps_users,
            "IdsNotReused": bounded and not self.id_reuse,
            "NothingHidden": listed and bounded and self.hidden_ms == 0,
        }
        return tuple(token for token, holds in assumed.items() if holds)
