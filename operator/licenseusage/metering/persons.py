"""One person in the facts of a cycle: on which days, by which source, or why not.

For the customer alone, who has the key of the pseudonyms. Nothing here knows an id.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from licenseusage.metering.combine import Combine
from licenseusage.metering.cycles import CYCLE_MASK, Cycle
from licenseusage.metering.known import Known, intersected, united
from licenseusage.reasons import Reason

_SELF = b""
"""The only user of a set about one person."""


class Trace(StrEnum):
    """What one store says about one person; the words are `WORDS`."""

    ACTIVE = "Active"
    DOUBTED = "Doubted"
    POSSIBLE = "Possible"
    EXCLUDED_ID = Reason.EXCLUDED_ID
    EXCLUDED = Reason.EXCLUDED
    INACTIVE = "Inactive"
    LEFT = "LeftTheList"
    NO_ACTIVITY = "NoActivity"
    NOT_IN_DATA = "NotInData"
    IDS_UNSTABLE = "IdsUnstable"
    NOT_READ = "NotRead"


WORDS = {
    Trace.ACTIVE: "activity in the cycle is proved",
    Trace.DOUBTED: "activity was seen and does not count: what the product answered since shows "
    "that a guarantee of the source is false",
    Trace.POSSIBLE: "activity in the cycle is neither proved nor ruled out",
    Trace.EXCLUDED_ID: "excluded by this id: users.excludeIds of the source names it",
    Trace.EXCLUDED: "listed and excluded: users.exclude of the source leaves out such accounts "
    "(service accounts, guests, ...)",
    Trace.INACTIVE: "listed, and proved not active in the cycle: the last activity is before it, "
    "after it, or there is none",
    Trace.LEFT: "was listed and left the list before activity could be ruled out",
    Trace.NO_ACTIVITY: "listed; no activity in the cycle was seen so far",
    Trace.NOT_IN_DATA: "not in the data kept: no answer that was counted had it. Is it written "
    "as users.id of the source reads it?",
    Trace.IDS_UNSTABLE: "ids of this source may be renamed: numbers are kept, and nobody's facts",
    Trace.NOT_READ: "the source was not read in this cycle",
}


class Standing(StrEnum):
    """Whether a person counts in a cycle.

    ``COUNTED``: in the lower bound, hence in both. ``POSSIBLE``: in the upper bound only.
    ``NOT_COUNTED``: in neither. ``OPEN``: not in the lower bound, and there is no upper one.
    ``NOT_KEPT``: the facts were deleted after their retention. ``OTHER_KEY``: the cycle's facts
    were made with another pseudonym key.
    """

    COUNTED = "Counted"
    POSSIBLE = "Possible"
    NOT_COUNTED = "NotCounted"
    OPEN = "NotProved"
    NOT_KEPT = "NotKept"
    OTHER_KEY = "OtherKey"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the ledger holds about one person in one store; words as in ``metering.cycles``.

    Attributes:
        sure: Windows in which activity is proved.
        maybe: Windows in which it is neither proved nor ruled out.
        listed: On the newest list.
        ever: Was on a list at the cycle's start or in it, and not excluded.
        closing: On the list of the closing poll and not ruled out by it.
        inactive: Proved inactive in the cycle.
        kept: Has proof of activity that counts.
        doubted: This store does not let the person count.
        possible: Not ruled out; None: the store rules nobody out.
        ids_stable: Users can be told apart.
        read: The store was read in this cycle.
    """

    sure: int = 0
    maybe: int = 0
    listed: bool = False
    ever: bool = False
    closing: bool = False
    inactive: bool = False
    kept: bool = False
    doubted: bool = False
    possible: bool | None = None
    ids_stable: bool = True
    read: bool = True


def trace(evidence: Evidence, *, excluded_id: bool = False) -> Trace:
    """Return what a store says about a person.

    Args:
        evidence: What the ledger holds.
        excluded_id: The source's definition names the id as one that does not count.
    """
    if not evidence.ids_stable:
        return Trace.IDS_UNSTABLE
    if evidence.kept:
        return Trace.ACTIVE
    if evidence.sure:
        return Trace.DOUBTED
    if evidence.maybe & CYCLE_MASK:
        return Trace.POSSIBLE
    if excluded_id:
        return Trace.EXCLUDED_ID
    if evidence.inactive:
        return Trace.INACTIVE
    if evidence.ever:
        return Trace.LEFT if evidence.possible else Trace.NO_ACTIVITY
    if evidence.closing:
        return Trace.POSSIBLE
    if evidence.listed:
        return Trace.EXCLUDED
    return Trace.NOT_IN_DATA if evidence.read else Trace.NOT_READ


def standing(domains: Sequence[Sequence[Evidence]], combine: Combine) -> Standing:
    """Return whether somebody counts, by stores in groups of one identity domain.

    Of several domains nobody knows who is the same person; each counts by itself.
    """
    known = [_known(stores, combine) for stores in domains]
    if any(domain.sure for domain in known):
        return Standing.COUNTED
    if any(domain.possible for domain in known):
        return Standing.POSSIBLE
    if not known or any(domain.possible is None for domain in known):
        return Standing.OPEN
    return Standing.NOT_COUNTED


def days(word: int, cycle: Cycle) -> tuple[int, ...]:
    """Return the days of a word, counted from 0 at the cycle's start."""
    return tuple(day for day in range(cycle.days) if word >> day & 1)


def _known(stores: Sequence[Evidence], combine: Combine) -> Known:
    each = [
        Known(
            sure=_set(evidence.kept),
            possible=None if evidence.possible is None else _set(evidence.possible),
            doubted=_set(evidence.doubted),
        )
        for evidence in stores
    ]
    return united(each) if combine is Combine.UNION else intersected(each)


def _set(holds: bool) -> frozenset[bytes]:
    return frozenset({_SELF}) if holds else frozenset()
