"""Which conditions hold: a pure function of what the steps found (DESIGN §5).

``Ready``, ``Reconciling`` and ``Stalled`` follow kstatus; the details are positive. The previous
conditions are an input, so that ``lastTransitionTime`` moves only when a status does.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from licenseusage.api.conditions import ConditionType
from licenseusage.api.model import rfc3339
from licenseusage.chain import first_answer
from licenseusage.errors import Failure
from licenseusage.reasons import Reason

MESSAGE_LIMIT = 1024


class Status(StrEnum):
    """Status of a condition."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one positive condition says.

    Attributes:
        needs_a_person: With status False: whether it goes into ``Stalled``.
    """

    status: Status
    reason: str
    message: str
    needs_a_person: bool = False

    @classmethod
    def failed(cls, problem: Failure) -> "Verdict":
        """Return the verdict False of a problem."""
        return cls(Status.FALSE, problem.reason, problem.message, problem.needs_a_person)


class Underway(StrEnum):
    """What a poll that has begun does."""

    RUNS = "Runs"
    WAITS = "Waits"


@dataclass(frozen=True, slots=True)
class SourceHealth:
    """How one source's collection goes.

    Attributes:
        last_success_ms: End of the last successful poll; None before one.
        interval_ms: The effective interval (MEASUREMENT §0).
        problem: Why the last poll, or the attempt at one, failed, with the source's name; None
            after a success.
        outdated: The definition changed and has not been polled yet.
        proven: The last successful poll was made by this definition.
        hint: A thing worth saying although the last poll succeeded.
        underway: What the poll does that is due: runs, or waits for a worker; None: there is none.
    """

    name: str
    last_success_ms: int | None
    interval_ms: int
    problem: Failure | None = None
    outdated: bool = False
    proven: bool = True
    hint: str | None = None
    underway: Underway | None = None

    def passes(self, now_ms: int) -> bool:
        """Whether its failure may pass by itself, as while the product is rolled out.

        So it is told by ``Collected`` at once, and takes ``Ready`` away only after two intervals
        (DESIGN §5). Not so what only a person can mend, what the operator itself could not do, and
        a definition that never worked.
        """
        return (
            self.problem is not None
            and not self.problem.ours
            and not self.problem.needs_a_person
            and self.proven
            and self.last_success_ms is not None
            and now_ms - self.last_success_ms <= 2 * self.interval_ms
        )


@dataclass(frozen=True, slots=True)
class Findings:
    """What the steps of one reconcile found.

    Attributes:
        spec: The spec as a whole cannot be acted on.
        licensed, reported, within_entitlement, counted_once, keys_exported: None where the
            condition is absent.
        halted: Why nothing may be collected although the spec is valid (ledger or key lost).
        refuted: Which declared guarantee the answers contradict, and what to do; None: none.
        remark: What is worth saying of the numbers as such.
        beside: How a number disagrees with what is stated, and both cannot be true.
        idle: Why there is nothing to collect yet, though nothing is wrong (no cycle runs).
        clock: Why the clock cannot be trusted; polls judge by the products' clocks themselves.
        hint: A thing worth saying although all is well.
    """

    product: str
    spec: Failure | None = None
    halted: Failure | None = None
    idle: Verdict | None = None
    clock: Failure | None = None
    hint: str | None = None
    refuted: str | None = None
    remark: str | None = None
    beside: str | None = None
    sources: Sequence[SourceHealth] = ()
    licensed: Verdict | None = None
    reported: Verdict | None = None
    within_entitlement: Verdict | None = None
    counted_once: Verdict | None = None
    keys_exported: Verdict | None = None

    @property
    def calm(self) -> bool:
        """Whether nothing has failed, so that nothing has to be tried again by and by."""
        wrong = (self.spec, self.halted, self.idle, self.clock, *(s.problem for s in self.sources))
        refused = self.licensed is not None and self.licensed.status is Status.FALSE
        return not refused and all(problem is None for problem in wrong)


def conditions(
    findings: Findings, previous: Sequence[Mapping[str, Any]], generation: int, now_ms: int
) -> list[dict[str, Any]]:
    """Return ``status.conditions`` as JSON, in the order of `ConditionType`.

    Args:
        findings: What the steps found.
        previous: The live object's conditions.
        generation: Generation of the spec that was looked at.
        now_ms: The reconcile's one time.
    """
    collected = _collected(findings, now_ms)
    # kstatus reads all three, so that none of them may turn for what passes by itself.
    lasting = _collected(_lasting(findings, now_ms), now_ms)
    shown = {
        ConditionType.READY: _ready(findings, lasting),
        ConditionType.RECONCILING: _reconciling(findings, lasting),
        ConditionType.STALLED: _stalled(findings, lasting),
        ConditionType.COLLECTED: collected,
        ConditionType.GUARANTEES_HOLD: _guarantees_hold(findings),
        ConditionType.REPORTED: findings.reported,
        ConditionType.LICENSED: findings.licensed,
        ConditionType.WITHIN_ENTITLEMENT: findings.within_entitlement,
        ConditionType.COUNTED_ONCE: findings.counted_once,
        ConditionType.KEYS_EXPORTED: findings.keys_exported,
    }
    before = {str(c.get("type")): c for c in previous}
    return [
        condition(str(kind), verdict, before.get(str(kind)), generation, now_ms)
        for kind, verdict in shown.items()
        if verdict is not None
    ]


def condition(
    kind: str,
    verdict: Verdict,
    before: Mapping[str, Any] | None,
    generation: int,
    now_ms: int,
) -> dict[str, Any]:
    """Return a condition as JSON; its time moves only when its status does.

    Args:
        kind: The condition's type.
        verdict: What it says.
        before: The live object's condition of this type; None: there is none.
        generation: Generation of the spec that was looked at.
        now_ms: The reconcile's one time.
    """
    same = before is not None and before.get("status") == verdict.status
    since = before["lastTransitionTime"] if before is not None and same else rfc3339(now_ms)
    return {
        "type": kind,
        "status": str(verdict.status),
        "observedGeneration": generation,
        "lastTransitionTime": since,
        "reason": verdict.reason,
        "message": cut(verdict.message),
    }


def cut(message: str, limit: int = MESSAGE_LIMIT) -> str:
    """Return the message, shortened with an ellipsis where it is longer than a condition takes."""
    return message if len(message) <= limit else message[: limit - 1] + "…"


def _lasting(findings: Findings, now_ms: int) -> Findings:
    """Return what was found without the failures that may pass by themselves."""
    sources = [replace(s, problem=None) if s.passes(now_ms) else s for s in findings.sources]
    return replace(findings, sources=sources)


def _collected(findings: Findings, now_ms: int) -> Verdict:
    """Return the condition ``Collected``; the first rule that finds something decides."""
    hints = "".join(
        f" {hint}" for hint in (*(s.hint for s in findings.sources), findings.remark) if hint
    )
    return first_answer(COLLECTED, findings, now_ms) or Verdict(
        Status.TRUE,
        Reason.POLL_SUCCEEDED,
        f"The last poll of {_named([s.name for s in findings.sources])} succeeded.{hints}",
    )


def stopped_before_a_poll(findings: Findings, now_ms: int) -> Verdict | None:
    """Nothing may be collected, and nothing ever was: no source has anything else to say."""
    polled = any(s.last_success_ms for s in findings.sources)
    return None if polled else stopped(findings, now_ms)


def source_fails(findings: Findings, now_ms: int) -> Verdict | None:
    """A source's last poll failed; the one that needs a person goes first: it does not pass."""
    problems = [s.problem for s in findings.sources if s.problem is not None]
    if not problems:
        return None
    problems.sort(key=lambda problem: not problem.needs_a_person)
    others = f" ({len(problems) - 1} more sources fail.)" if len(problems) > 1 else ""
    return replace(Verdict.failed(problems[0]), message=problems[0].message + others)


def stopped(findings: Findings, now_ms: int) -> Verdict | None:
    """The spec cannot be acted on, or ledger or key are lost."""
    stop = findings.spec or findings.halted
    return None if stop is None else Verdict.failed(stop)


def nothing_to_collect(findings: Findings, now_ms: int) -> Verdict | None:
    """No cycle runs."""
    return findings.idle


def first_poll_runs(findings: Findings, now_ms: int) -> Verdict | None:
    """A source, or its changed definition, was not polled yet."""
    waiting = [s.name for s in findings.sources if s.last_success_ms is None or s.outdated]
    if not waiting:
        return None
    return Verdict(
        Status.UNKNOWN,
        Reason.NOT_COLLECTED_YET,
        f"The first poll of {_named(waiting)} has not ended yet.",
    )


def number_is_stale(findings: Findings, now_ms: int) -> Verdict | None:
    """A source was not polled for more than two intervals."""
    stale = [
        s
        for s in findings.sources
        if s.last_success_ms is not None and now_ms - s.last_success_ms > 2 * s.interval_ms
    ]
    return Verdict(Status.FALSE, Reason.STALE, _stale(stale)) if stale else None


COLLECTED: tuple[Callable[[Findings, int], Verdict | None], ...] = (
    stopped_before_a_poll,
    source_fails,
    stopped,
    nothing_to_collect,
    first_poll_runs,
    number_is_stale,
)


def _stale(sources: Sequence[SourceHealth]) -> str:
    """Say how old the number is, how often it should be read, and why it was not."""
    first = sources[0]
    ended = rfc3339(first.last_success_ms or 0)
    others = f" ({len(sources) - 1} more sources likewise.)" if len(sources) > 1 else ""
    return (
        f"The last complete poll of source {first.name} ended on {ended[:10]} at {ended[11:16]} "
        f"UTC; one is due every {_every(first.interval_ms)}. {_WHY_STALE[first.underway]}{others}"
    )


_WHY_STALE = {
    None: "The operator was stopped or is busy; the next poll begins as soon as it can.",
    Underway.RUNS: (
        "A poll is running and has not ended: the product answers slowly, or its list is long "
        "(lastPollSeconds in status.sources)."
    ),
    Underway.WAITS: (
        "A poll waits for a free worker: all are busy with slow sources. Find those in "
        "licenseusage_collection_duration_seconds of /metrics, or raise LICENSEUSAGE_POLL_WORKERS."
    ),
}


def _every(interval_ms: int) -> str:
    minutes = -(-interval_ms // 60_000)
    return f"{minutes} minutes" if minutes != 1 else "minute"


def _guarantees_hold(findings: Findings) -> Verdict | None:
    """What the answers refute, if anything: it changes neither ``Ready`` nor ``Stalled``."""
    if findings.refuted is not None:
        return Verdict(Status.FALSE, Reason.GUARANTEE_REFUTED, findings.refuted)
    if findings.beside is not None:
        return Verdict(Status.FALSE, Reason.COUNT_DISAGREES, findings.beside)
    return None


def _ready(findings: Findings, collected: Verdict) -> Verdict:
    """Return the condition ``Ready``; the first rule that finds something decides."""
    hint = f" {findings.hint}" if findings.hint else ""
    return first_answer(READY, findings, collected) or Verdict(
        Status.TRUE,
        Reason.SUCCEEDED,
        f"Active users of product {findings.product} are being counted.{hint}",
    )


def cannot_be_acted_on(findings: Findings, collected: Verdict) -> Verdict | None:
    """The spec is invalid, or ledger or key are lost."""
    stop = findings.spec or findings.halted
    return None if stop is None else Verdict.failed(stop)


def licence_is_refused(findings: Findings, collected: Verdict) -> Verdict | None:
    """The object names a licence, and it is not valid."""
    refused = findings.licensed is not None and findings.licensed.status is Status.FALSE
    return findings.licensed if refused else None


def collection_fails(findings: Findings, collected: Verdict) -> Verdict | None:
    """``Collected`` is not True for longer than what passes by itself."""
    if collected.status is Status.TRUE:
        return None
    return Verdict(Status.FALSE, collected.reason, collected.message)


def clock_is_not_trusted(findings: Findings, collected: Verdict) -> Verdict | None:
    """Cycles end by a clock that is wrong."""
    return None if findings.clock is None else Verdict.failed(findings.clock)


READY: tuple[Callable[[Findings, Verdict], Verdict | None], ...] = (
    cannot_be_acted_on,
    licence_is_refused,
    collection_fails,
    clock_is_not_trusted,
)


def _stalled(findings: Findings, collected: Verdict) -> Verdict | None:
    verdicts = [
        Verdict.failed(problem)
        for problem in (findings.spec, findings.halted)
        if problem is not None
    ]
    verdicts += [v for v in (findings.licensed, collected, findings.reported) if v is not None]
    if findings.clock is not None:
        verdicts.append(Verdict.failed(findings.clock))
    for verdict in verdicts:
        if verdict.status is Status.FALSE and verdict.needs_a_person:
            return Verdict(Status.TRUE, verdict.reason, verdict.message)
    return None


def _reconciling(findings: Findings, collected: Verdict) -> Verdict | None:
    if _stalled(findings, collected) is not None:
        return None  # kstatus would show InProgress, and hide that a person must act
    if collected.status is Status.UNKNOWN:
        return Verdict(Status.TRUE, Reason.PROGRESSING, collected.message)
    for verdict in (findings.licensed, collected):
        failed = verdict is not None and verdict.status is Status.FALSE
        if verdict is not None and failed and not verdict.needs_a_person:
            return Verdict(Status.TRUE, Reason.PROGRESSING_WITH_RETRY, verdict.message)
    return None


def _named(names: Sequence[str]) -> str:
    kind = "source" if len(names) == 1 else "sources"
    return f"{kind} {', '.join(names)}"
