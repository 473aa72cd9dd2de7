"""What one hostile answer is, and what must come of it: a named failure or a right number."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from licenseusage.sources.poll import MIB, PollLimits
from tests.sources.product import Answer, Request, answer, at

SILENCE_SECONDS = 0.5
LIMITS = PollLimits(
    request_seconds=SILENCE_SECONDS, poll_seconds=5, poll_bytes=8 * MIB, poll_pages=50
)
LEAK = "leaky-id-4711"
"""Stands wherever what a product sends could be quoted."""


@dataclass(frozen=True, slots=True)
class Fails:
    """The poll fails with this reason."""

    reason: str


@dataclass(frozen=True, slots=True)
class AtLeast:
    """So many people are proved active, nobody else is ruled out, and this is why."""

    people: int
    reason: str


@dataclass(frozen=True, slots=True)
class Complete:
    """The list is complete, and so many people are proved active."""

    people: int


@dataclass(frozen=True, slots=True)
class Case:
    """One product's way to answer.

    Attributes:
        name: What is wrong with it, in words; unique.
        serve: The bytes of each answer, or what makes them of a request.
        expected: What must come of it.
        read: Fields of the source, beside the usual ones (``tests.sources.product.source``).
        asked: Fields of the poll's request.
        polls: How many polls are made; the last one counts.
    """

    name: str
    serve: bytes | Callable[[Request], Answer]
    expected: Fails | AtLeast | Complete
    read: dict[str, Any] = field(default_factory=dict)
    asked: dict[str, Any] = field(default_factory=dict)
    polls: int = 1


ANN = {"id": "ann", "seen": at("05T10:00:00")}
BOB = {"id": "bob", "seen": at("19T23:59:59.5")}
OLD = {"id": "old", "seen": "2026-10-31T23:59:58Z"}
NEVER = {"id": "nie", "seen": None}
PEOPLE = [ANN, BOB, OLD, NEVER]
"""Two were active in the cycle, one before it, one never."""

WRITTEN = (
    b'{"id": "ann", "seen": "2026-11-05T10:00:00Z"}, {"id": "old", "seen": "2026-10-31T23:59:58Z"}'
)
"""One active and one old user, as JSON, to be put beside what cannot be written by a library."""


def users(*rows: Any, **around: Any) -> bytes:
    """A whole answer with these rows."""
    return answer({"value": list(rows), **around})


def text(*rows: bytes) -> bytes:
    """A whole answer with two usual rows and these, as they stand."""
    return answer(b'{"value": [' + b", ".join((WRITTEN, *rows)) + b"]}")


def unmapped(value: bytes) -> bytes:
    """A whole answer in which one user has this as a member that nobody asked for."""
    return text(b'{"id": "bob", "name": ' + value + b', "seen": "2026-11-19T23:59:59Z"}')


def in_id(value: bytes) -> bytes:
    """A whole answer in which one active user has this as id."""
    return text(b'{"id": ' + value + b', "seen": "2026-11-19T23:59:59Z"}')


def in_stamp(value: bytes) -> bytes:
    """A whole answer in which one user has this as last activity."""
    return text(b'{"id": "bob", "seen": ' + value + b"}")
