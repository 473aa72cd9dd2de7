"""A poll that is recorded, and a poll of what was recorded."""

import secrets
from collections.abc import Callable
from dataclasses import replace

import msgspec

from licenseusage.clock import Clock
from licenseusage.errors import Stalled
from licenseusage.sources.captures.brokerlogs import LogRecorder, LogReplayer, RecordedLog
from licenseusage.sources.captures.figures import NumberShape
from licenseusage.sources.captures.file import Capture, reads_of
from licenseusage.sources.captures.messages import MessageShape
from licenseusage.sources.captures.reduced import Shape, not_made
from licenseusage.sources.captures.wires import Answer, Recorder, Replayer
from licenseusage.sources.counts.collect import CountCollection
from licenseusage.sources.definition.model import EffectiveSource
from licenseusage.sources.http.wire import Wiring
from licenseusage.sources.lists.collect import Collection
from licenseusage.sources.logs.collect import LogCollection
from licenseusage.sources.logs.kinds import opened
from licenseusage.sources.logs.ranged.collect import RangedCollection
from licenseusage.sources.poll import CycleRequest, PollRequest, PollResult, Target


def record(request: PollRequest, clock: Clock) -> tuple[PollResult, Capture | Stalled]:
    """Poll once, in this process; return the result, and the anonymised answers or why not.

    The capture is polled before it is returned: one that gives another result is not made.

    Raises:
        Stalled: ``CaptureNotMade``: this kind of source cannot be recorded; nothing was asked.
    """
    shape = shape_of(request.source)
    make = _record_log if isinstance(shape, MessageShape) else _record_answers
    result, recorded = make(request, shape, clock)  # type: ignore[arg-type]
    try:
        capture = recorded()
        _must_equal(request.source, result, replay(request, capture))
    except Stalled as refused:
        return result, refused
    return result, capture


def replay(request: PollRequest, capture: Capture) -> PollResult:
    """Poll a capture: nothing is sent, the time is that of the capture, and so is the cycle.

    Args:
        request: With the source; its targets, credentials and cycles are not used.
        capture: What comes in place of answers.

    Raises:
        Stalled: ``CaptureInvalid``: the source reads other members.
    """
    capture.must_fit(request.source)
    users = request.source.people
    if users is not None:
        users = msgspec.structs.replace(users, exclude_ids=capture.exclude_ids)
    source = msgspec.structs.replace(
        request.source, people=users, auth=None, client_certificate=None, every_pod=False
    )
    roster = source.window is not None
    again = replace(
        request,
        source=source,
        targets=(Target("capture", 80),),
        issuers=(),
        credentials=None,
        cycles=(CycleRequest(capture.cycle, roster=roster),),
        closing=capture.closing,
        pseudonym_key=bytes(32),
        clock_offset_ms=0,
    )
    if capture.log is not None:
        log = LogReplayer(capture.log)
        result = LogCollection(again, log, opening=log.opened).perform()
    else:
        replayer = Replayer(capture.answers)
        result = _collected(again, replayer, replayer.wire, alarm=False)
    return replace(result, seconds=0.0)


def shape_of(source: EffectiveSource) -> Shape | NumberShape | MessageShape:
    """Return what a source reads of its answers.

    Raises:
        Stalled: ``CaptureNotMade``: this kind of source, or one of its expressions, cannot be
            anonymised; it is named.
    """
    if source.states_number:
        return NumberShape(source)
    if source.event_log is not None:
        return MessageShape(source)
    return Shape(source)


def _collected(request: PollRequest, clock: Clock, wire: Wiring, *, alarm: bool) -> PollResult:
    if request.source.states_number:
        return CountCollection(request, clock, alarm=alarm, wire=wire).perform()
    if (log := request.source.http_log) is not None:
        return RangedCollection(request, log, clock, alarm=alarm, wire=wire).perform()
    return Collection(request, clock, alarm=alarm, wire=wire).perform()


def _record_answers(
    request: PollRequest, shape: Shape | NumberShape, clock: Clock
) -> tuple[PollResult, Callable[[], Capture]]:
    recorder = Recorder(clock, request.limits.poll_bytes)
    result = _collected(request, clock, recorder.wire, alarm=True)

    def capture() -> Capture:
        answers = recorder.answers
        if not answers:
            raise _nothing_came(request.source, result)
        made, exclude_ids = shape.anonymised(
            answers, secrets.token_bytes(32), request.limits.poll_bytes
        )
        return _capture(request, exclude_ids, answers=made)

    return result, capture


def _record_log(
    request: PollRequest, shape: MessageShape, clock: Clock
) -> tuple[PollResult, Callable[[], Capture]]:
    recorder = LogRecorder(opened)
    result = LogCollection(request, clock, opening=recorder.opened).perform()

    def capture() -> Capture:
        log = recorder.recorded
        if log is None:
            raise _nothing_came(request.source, result)
        made, exclude_ids = shape.anonymised(log, secrets.token_bytes(32))
        return _capture(request, exclude_ids, log=made)

    return result, capture


def _nothing_came(source: EffectiveSource, result: PollResult) -> Stalled:
    failure = result.failure
    why = f"there was no answer to record ({failure.reason})" if failure else "nothing came"
    return not_made(source, why)


def _capture(
    request: PollRequest,
    exclude_ids: tuple[str, ...],
    *,
    answers: tuple[Answer, ...] = (),
    log: RecordedLog | None = None,
) -> Capture:
    return Capture(
        cycle=request.cycles[-1].cycle,
        closing=request.closing,
        reads=reads_of(request.source),
        exclude_ids=exclude_ids,
        answers=answers,
        log=log,
    )


def _must_equal(source: EffectiveSource, seen: PollResult, replayed: PollResult) -> None:
    if seen.failure is not None and _failed(seen) != _failed(replayed):
        raise not_made(
            source, f"the poll failed ({_failed(seen)}), and not for what the answers hold"
        )
    for name, (first, other) in _compared(seen, replayed).items():
        if first != other:
            raise not_made(
                source,
                f"without what names people the answers give another result ({name}: {other} "
                f"instead of {first}): something else than members and ids decides, such as "
                "users.exclude by a part of a name",
            )


def _compared(seen: PollResult, replayed: PollResult) -> dict[str, tuple[object, object]]:
    def facts(result: PollResult) -> dict[str, object]:
        lately = result.activities
        return {
            "failure": _failed(result),
            "users listed": result.users_listed,
            "counted": result.counted,
            "skipped": result.skipped,
            "provisioned": result.provisioned,
            "complete": result.complete,
            "incomplete": result.incomplete and str(result.incomplete.reason),
            "stable ids": result.ids_stable,
            "lost": [hole.reason for read in result.readings.values() for hole in read.holes],
            "last activities": lately and (lately.days, lately.before, lately.after, lately.never),
        }

    first, other = facts(seen), facts(replayed)
    return {name: (first[name], other[name]) for name in first}


def _failed(result: PollResult) -> str | None:
    return str(result.failure.reason) if result.failure is not None else None
