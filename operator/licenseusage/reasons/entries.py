"""What the vocabulary says of a reason: its polarity, whether a person is needed, the fix."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from licenseusage.reasons.vocabulary import Reason


class Polarity(StrEnum):
    """Which kind of news a reason is."""

    GOOD = "good"
    """Everything is as it should be."""
    NOTE = "note"
    """Worth knowing; nothing has failed."""
    BAD = "bad"
    """Something failed, is missing or is not proved."""


class Person(StrEnum):
    """Whether somebody has to act."""

    NO = "no"
    IF_IT_STAYS = "if it stays"
    """It is tried again, and passes in many cases without anybody."""
    YES = "yes"
    """It stays until somebody acts."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One reason of the vocabulary.

    Attributes:
        polarity: Good or bad news.
        person: Whether somebody has to act.
        means: What the reason means: a clause without a full stop.
        fix: What to do: one or more sentences.
    """

    polarity: Polarity
    person: Person
    means: str
    fix: str


@dataclass(frozen=True, slots=True)
class Chapter:
    """Reasons of one origin.

    Attributes:
        title: For people.
        speaker: Who gives these reasons.
        places: Where they stand.
        entries: The reasons, in the order of the page.
    """

    title: str
    speaker: str
    places: str
    entries: Mapping[Reason, Entry]


def good(means: str) -> Entry:
    """Return the entry of good news."""
    return Entry(Polarity.GOOD, Person.NO, means, "Nothing.")


def note(means: str, fix: str = "Nothing.") -> Entry:
    """Return the entry of something worth knowing."""
    return Entry(Polarity.NOTE, Person.NO, means, fix)


def passing(means: str, fix: str) -> Entry:
    """Return the entry of a failure that is tried again, and may pass by itself."""
    return Entry(Polarity.BAD, Person.IF_IT_STAYS, means, fix)


def fault(means: str, fix: str) -> Entry:
    """Return the entry of a failure that stays until somebody acts."""
    return Entry(Polarity.BAD, Person.YES, means, fix)
