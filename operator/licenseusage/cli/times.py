"""Times on the command line: days or RFC 3339, always UTC."""

from datetime import UTC, date, datetime

import typer


def parse_time(text: str) -> int:
    """Return seconds since 1970 UTC of ``YYYY-MM-DD`` (00:00Z) or an RFC 3339 time with a zone.

    Raises:
        typer.BadParameter: it is neither.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no day and no RFC 3339 time") from None
    if len(text) == len("YYYY-MM-DD"):
        moment = moment.replace(tzinfo=UTC)
    if moment.tzinfo is None:
        raise typer.BadParameter(f"{text!r} has no zone; write a Z at its end for UTC")
    return int(moment.timestamp())


def parse_day(text: str) -> date:
    """Return the day ``YYYY-MM-DD``.

    Raises:
        typer.BadParameter: it is none.
    """
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no day (YYYY-MM-DD)") from None


def show_time(seconds: int) -> str:
    """Return RFC 3339 in UTC with seconds."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
