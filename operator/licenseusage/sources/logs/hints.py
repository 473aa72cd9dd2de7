"""Hints about a successful reading: lost, late or unreadable events."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Protocol

from licenseusage.errors import Failure
from licenseusage.metering.events import Hole
from licenseusage.reasons import Reason
from licenseusage.sources.definition.model import SECOND_MS
from licenseusage.sources.logs.oddity import Oddity
from licenseusage.sources.logs.tally import EventTally

_HOLES_SHOWN = 3


class Limited(Protocol):
    """A log, by its name and what makes it forget."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def limits(self) -> tuple[str, ...]:
        """In words; empty: nothing."""


def hint(
    tally: EventTally,
    holes: Sequence[Hole],
    stream: Limited | None,
    *,
    behind: Failure | None,
) -> str | None:
    """Return the hint about a successful poll; None: there is none.

    Args:
        tally: The events that were read.
        holes: Of the newest cycle.
        stream: The log, as it was at the poll's start.
        behind: Why the stream was not read to its end; None: it was.
    """
    parts = [_sentence(behind.message)] if behind is not None else []
    if stream is not None:
        parts += _of_holes(holes, stream)
    late, unreadable = tally.late, tally.unreadable
    if late.count:
        parts.append(
            f"{_events(late)} stored up to {span(late.most_ms)} after the time "
            f"they tell, later than guarantees.lagSeconds ({late.named}): raise it."
        )
    if unreadable.count:
        parts.append(f"{_events(unreadable)} not readable ({unreadable.named}): {unreadable.why}.")
    return " ".join(parts) or None


def span(span_ms: int) -> str:
    """Return a span in words."""
    seconds = span_ms / SECOND_MS
    return f"{seconds:.0f} s" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _of_holes(holes: Sequence[Hole], stream: Limited) -> list[str]:
    by_reason: dict[str, list[Hole]] = {}
    for hole in holes:
        by_reason.setdefault(hole.reason, []).append(hole)
    parts = []
    for reason, group in by_reason.items():
        spans = ", ".join(map(_written, group[:_HOLES_SHOWN]))
        more = f" and {len(group) - _HOLES_SHOWN} more" if len(group) > _HOLES_SHOWN else ""
        what = _WHAT[Reason(reason)](stream.name, ", ".join(stream.limits))
        parts.append(f"{reason}: {what} What happened in {spans}{more} is not known.")
    return parts


_WHAT: dict[Reason, Callable[[str, str], str]] = {
    Reason.STREAM_BEGAN: lambda stream, _: (
        f"The stream {stream} was made only then, so the cycles after this one can be exact."
    ),
    Reason.STREAM_LIMITED: lambda stream, limits: (
        f"The stream {stream} forgot messages before they were read ({limits or 'limited'}): "
        "raise its limits, or lower intervalMinutes."
    ),
    Reason.STREAM_PURGED: lambda stream, _: (
        f"Messages of the stream {stream} were purged before they were read."
    ),
    Reason.STREAM_RECREATED: lambda stream, _: f"The stream {stream} was removed and made anew.",
    Reason.SERVER_RESTARTED: lambda stream, _: (
        f"The server of the stream {stream} was restarted or replaced, and what had not been read "
        "may be lost; declare guarantees.durability: Durable only if it keeps every entry."
    ),
    Reason.STREAM_WENT_BACK: lambda stream, _: (
        f"The stream {stream} was set back, as by a restored backup."
    ),
    Reason.MESSAGES_DELETED: lambda stream, _: (
        f"Messages of the stream {stream} were deleted before they were read."
    ),
    Reason.LOG_BEGAN: lambda log, _: (
        f"The oldest event of {log} is of then: whether events were recorded before is not known. "
        "The cycles after this one can be exact."
    ),
    Reason.LOG_EXPIRED: lambda log, limits: (
        f"The product deleted events of {log} before they were read ({limits or 'by age'}): let "
        "it keep them longer, or lower intervalMinutes."
    ),
    Reason.LOG_WENT_BACK: lambda log, _: (
        f"The newest event of the reading before is gone from {log}: it was cleared, or set back, "
        "as by a restored backup."
    ),
    Reason.EVENTS_NOT_RECORDED: lambda log, _: f"The product did not record events of {log}.",
    Reason.EVENTS_UNREADABLE: lambda stream, _: (
        f"Messages of the stream {stream} cannot be read as events."
    ),
}


def _events(oddity: Oddity) -> str:
    return "1 event was" if oddity.count == 1 else f"{oddity.count} events were"


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]


def _written(hole: Hole) -> str:
    start, end = (
        datetime.fromtimestamp(ms // SECOND_MS, UTC) for ms in (hole.start_ms, hole.end_ms)
    )
    same_day = start.date() == end.date()
    return f"{start:%Y-%m-%d %H:%M:%S} to {end:{'%H:%M:%S' if same_day else '%Y-%m-%d %H:%M:%S'}}Z"
