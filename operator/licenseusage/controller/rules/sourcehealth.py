"""How one source's collection goes: the last failure, and whether its definition has changed."""

import hashlib
from collections.abc import Sequence

import msgspec

from licenseusage.api.conditions import ConditionType
from licenseusage.controller.rules.declared import Declared
from licenseusage.controller.rules.polls import PollMemory
from licenseusage.controller.rules.subject import Subject
from licenseusage.errors import Failure, UsageError
from licenseusage.metering.cycles import Cycle
from licenseusage.metering.lifecycle import check_grace


def fingerprint_of(declared: Declared) -> str:
    """Return the digest of what a poll depends on beside the product: 64 hex digits."""
    content = (
        msgspec.json.encode(declared.source, order="sorted") + b"\0" + declared.selector.encode()
    )
    return hashlib.sha256(content).hexdigest()


def outdated(subject: Subject, memory: PollMemory, fingerprint: str) -> bool:
    """Whether the definition changed since the last attempt.

    A process that has just started remembers none; then a generation that the status has not seen
    yet is taken for a change.
    """
    if memory.fingerprint is not None:
        return memory.fingerprint != fingerprint
    observed = subject.status.get("observedGeneration")
    return observed not in (None, -1, subject.generation)


def proven(subject: Subject, memory: PollMemory, fingerprint: str) -> bool:
    """Whether the last success was of this definition.

    A process that has had none goes by what the object says: that it is Ready is told of a
    generation, and only after a success.
    """
    if memory.succeeded is not None:
        return memory.succeeded == fingerprint
    return any(
        c["type"] == ConditionType.READY
        and c["status"] == "True"
        and c.get("observedGeneration") == subject.generation
        for c in subject.conditions
    )


def grace_problem(
    sources: Sequence[Declared], cycles: Sequence[Cycle], grace_ms: int
) -> Failure | None:
    """Return the problem of a grace that cannot work; counting goes on with it all the same."""
    try:
        for source in sources:
            if source.source is not None and cycles:
                lag = source.source.properties.shown_after_ms
                check_grace(grace_ms, cycles[-1], lag, source.source.interval_ms)
    except UsageError as error:
        return Failure.of(error)
    return None
