"""What ``licenseusage source check`` shows of a poll: for people, and for programs."""

from collections.abc import Iterator
from itertools import groupby
from typing import Any

import typer

from licenseusage.api.model import rfc3339
from licenseusage.cli.output import print_fields
from licenseusage.metering.cycles import Cycle
from licenseusage.sources.definition.model import DAY_MS, EffectiveSource
from licenseusage.sources.poll import PollResult
from licenseusage.sources.seen import Activities
from licenseusage.sources.support import supported

BAR = 40
"""Signs of the longest bar."""
_FEW_DAYS = 3
"""So many days without anybody are shown one by one."""


def facts_of(
    source: EffectiveSource, cycle: Cycle, result: PollResult, *, show_ids: bool
) -> dict[str, Any]:
    """Return everything that was seen, for programs; times as in the custom resources."""
    best = supported(source, result, cycle.days)
    facts: dict[str, Any] = {
        "source": source.name,
        "preset": source.preset,
        "activityDefinition": source.definition,
        "cycle": {"startTime": rfc3339(cycle.start_ms), "endTime": rfc3339(cycle.end_ms)},
        "asOfTime": rfc3339(result.ended_ms),
        "pages": result.pages,
        "bytes": result.bytes,
        "seconds": round(result.seconds, 3),
        "usersListed": None if source.reads_log or source.states_number else result.users_listed,
        "eventsRead": result.users_listed if source.reads_log else None,
        "provisionedUsers": result.provisioned,
        "usersCounted": None if source.states_number else result.counted,
        "number": result.counted if source.states_number and result.failure is None else None,
        "skipped": result.skipped,
        "requests": [
            {
                "target": step.target,
                "status": step.status,
                "bytes": step.bytes,
                "seconds": step.ms / 1000,
            }
            for step in result.steps
        ],
        "lastActivities": None if source.reads_log else _by_day(cycle, result.activities),
        "events": _by_day(cycle, result.activities, events=True) if source.reads_log else None,
        "examples": _examples(result.activities),
        "clockSkewSeconds": result.clock_skew_ms / 1000,
        "complete": result.complete,
        "incomplete": _reason(result.incomplete),
        "lost": [
            {
                "startTime": rfc3339(hole.start_ms),
                "endTime": rfc3339(hole.end_ms),
                "reason": hole.reason,
            }
            for reading in result.readings.values()
            for hole in reading.holes
        ],
        "note": result.hint,
        "notes": list(result.notes),
        "accuracyAtBest": {"accuracy": str(best.accuracy), "message": best.why},
        "failure": _reason(result.failure),
    }
    if show_ids:
        facts["ids"] = list(result.ids)
    return facts


def _reason(failure: Any) -> dict[str, str] | None:  # noqa: ANN401 - Failure or None
    return {"reason": failure.reason, "message": failure.message} if failure else None


def print_result(source: EffectiveSource, cycle: Cycle, result: PollResult) -> None:
    """Print what was seen, for people; a failure on standard error."""
    best = supported(source, result, cycle.days)
    log = source.reads_log
    print_fields(
        [
            ("source", source.name + (f" (preset {source.preset})" if source.preset else "")),
            ("counts", source.definition),
            ("cycle", f"{rfc3339(cycle.start_ms)} to {rfc3339(cycle.end_ms)}"),
            (
                "read",
                f"{result.pages} {'batches' if log else 'pages'}, {result.bytes} bytes in "
                f"{result.seconds:.2f} s",
            ),
            *(_number(source, result) if source.states_number else _people(source, result)),
            ("clock", f"at most {result.clock_skew_ms / 1000:.1f} s apart"),
            ("at best", f"{best.accuracy}: {best.why}"),
            *((("note", result.hint),) if _says_more(result) else ()),
            *(("note", note) for note in result.notes),
        ]
    )
    _print_steps(result)
    if result.activities is not None:
        until_ms = result.ended_ms
        _print_activities(cycle, result.activities, until_ms=until_ms, events=source.reads_log)
    for user_id in result.ids:
        typer.echo(f"  {user_id}")
    if result.failure is not None:
        typer.echo(f"error: {result.failure.reason}: {result.failure.message}", err=True)


def _print_steps(result: PollResult) -> None:
    """Print what was asked for, and what came: status, bytes, seconds."""
    if not result.steps:
        return
    typer.echo("asked for:")
    bytes_width = max(len(f"{step.bytes:,}") for step in result.steps)
    for step in result.steps:
        took = f"{step.ms / 1000:.2f} s"
        typer.echo(f"  {step.status}  {step.bytes:>{bytes_width},} bytes  {took:>8}  {step.target}")
    if (more := result.pages - len(result.steps)) > 0:
        typer.echo(f"  … and {more} more like these")


def _people(source: EffectiveSource, result: PollResult) -> Iterator[tuple[str, object]]:
    """Yield what was found of users or events."""
    log = source.reads_log
    skipped = ", ".join(f"{count} {reason}" for reason, count in sorted(result.skipped.items()))
    yield "events read" if log else "users listed", result.users_listed
    if not log:
        yield "provisioned", result.provisioned
    yield "counted so far", result.counted
    yield "skipped", skipped or ("nothing" if log else "nobody")
    yield "complete", _complete(result, log=log)


def _number(source: EffectiveSource, result: PollResult) -> Iterator[tuple[str, object]]:
    """Yield what was found of a number."""
    yield "number", f"none ({result.failure.reason})" if result.failure else result.counted
    yield "about", f"who was active {source.count.window.words}"


def _says_more(result: PollResult) -> bool:
    incomplete = result.incomplete
    return result.hint is not None and (incomplete is None or result.hint != incomplete.message)


def _complete(result: PollResult, *, log: bool) -> str:
    if result.complete:
        what = (
            "everything that the stream still holds" if log else "who is not listed was not active"
        )
        return f"yes: {what}"
    if result.incomplete:
        return f"no, {result.incomplete.reason}: {result.incomplete.message}"
    return f"no, {result.failure.reason}" if result.failure else "no"


def _by_day(
    cycle: Cycle, seen: Activities | None, *, events: bool = False
) -> dict[str, Any] | None:
    if seen is None:
        return None
    return {
        "beforeCycle": seen.before,
        "days": {_day(cycle, day): users for day, users in enumerate(seen.days) if users},
        "afterCycle": seen.after,
        **({} if events else {"never": seen.never}),
    }


def _examples(seen: Activities | None) -> dict[str, list[dict[str, str | None]]] | None:
    if seen is None:
        return None
    return {
        why: [{"user": user.user, "lastActiveTime": _time(user.last_ms)} for user in users]
        for why, users in seen.examples.items()
    }


def _print_activities(cycle: Cycle, seen: Activities, *, until_ms: int, events: bool) -> None:
    """Print how many users were active last (events took place) on which day, and examples."""
    days = [(_day(cycle, day), users) for day, users in enumerate(seen.days)]
    begun = (min(until_ms, cycle.end_ms - 1) - cycle.start_ms) // DAY_MS + 1
    rows = [("before", seen.before), *_without_gaps(days[: max(begun, 0)])]
    rows += [("after", seen.after)] if seen.after else []
    rows += [] if events else [("never", seen.never)]
    most = max(users for _, users in rows)
    if most:
        typer.echo("events:" if events else "last activity:")
        width, left = len(str(most)), max(len(when) for when, _ in rows)
        for when, users in rows:
            bar = "#" * -(-users * BAR // most)
            typer.echo(f"  {when:<{left}}  {users:>{width}}  {bar}".rstrip())
    for why, examples in seen.examples.items():
        typer.echo(f"{why}, for example:")
        for user in examples:
            typer.echo(f"  {user.user}  {_time(user.last_ms) or '-'}")


def _without_gaps(days: list[tuple[str, int]]) -> Iterator[tuple[str, int]]:
    """Yield days with users, with many empty ones in a row as one line."""
    for empty, some in groupby(days, lambda day: not day[1]):
        group = list(some)
        if empty and len(group) > _FEW_DAYS:
            yield f"{group[0][0]} to {group[-1][0][5:]}", 0
        else:
            yield from group


def _day(cycle: Cycle, day: int) -> str:
    return rfc3339(cycle.start_ms + day * DAY_MS)[:10]


def _time(at_ms: int | None) -> str | None:
    return rfc3339(at_ms) if at_ms is not None else None
