"""A poll to be made, and a process's memory of the polls of a source."""

from dataclasses import dataclass, field, replace

from licenseusage.controller.rules.key import Key
from licenseusage.controller.rules.resources import Dependency
from licenseusage.errors import Consequence, Failure
from licenseusage.metering.cycles import Cycle
from licenseusage.metering.stores import StoreKey
from licenseusage.sources.definition.model import EffectiveSource
from licenseusage.sources.lists.notes import Companions


@dataclass(frozen=True, slots=True)
class Job:
    """One poll to make.

    Attributes:
        key: The object; its namespace is the only one that is read.
        selector: Labels of the pods.
        store: Where the facts go.
        cycles: Cycles that want facts, oldest first; also one that was decided on, if it is looked
            back at.
        earlier: The one of them that was decided on; None: none.
        coming: The cycle after them, where its first roster is wanted; None: not yet.
        closing: The poll may close a cycle, so a listing may be read more than once.
        due: The schedule asks for it, so that a failure counts as an attempt. Else it is a probe:
            only whether pods and Secrets have come back.
        fingerprint: What the poll depends on beside the product: a change makes it due at once.
        proven: The source has been read by this definition before.
        quick: Its last attempt was quick, so that it need not wait behind slow ones.
    """

    key: Key
    meter_id: int
    product: str
    source: EffectiveSource
    selector: str
    store: StoreKey
    cycles: tuple[Cycle, ...]
    interval_ms: int
    rules_digest: str
    closing: bool
    due: bool
    fingerprint: str
    proven: bool
    quick: bool = False
    earlier: Cycle | None = None
    coming: Cycle | None = None


@dataclass(slots=True)
class PollMemory:
    """What one process remembers of a source; losing it costs one poll.

    Attributes:
        problem: Why the last attempt failed, with its consequence; None after a success.
        probes: Failed probes in a row.
        probe_at_s: The loop's time of the next probe; None: only the schedule asks.
        fingerprint: What the last finished attempt depended on.
        succeeded: What the last successful poll depended on; None before one.
        credentials: Digest of the Secret that a refused poll used.
        depends: What would have to change for a poll that was not possible, or was refused.
        ids_stable: What the last poll found about its ids.
        hint: What the last poll found worth saying.
        companions: Who was active at each of the last polls.
        clock_skew_ms: k of the last poll.
        behind: Cycles for which the last poll left a part of the log that the next one can read;
            None: this process has not polled it yet.
    """

    problem: Failure | None = None
    probes: int = 0
    probe_at_s: float | None = None
    fingerprint: str | None = None
    succeeded: str | None = None
    credentials: str = ""
    depends: frozenset[Dependency] = frozenset()
    ids_stable: bool | None = None
    hint: str | None = None
    companions: Companions = field(default_factory=Companions)
    clock_skew_ms: int = 0
    behind: frozenset[Cycle] | None = None


def believed(failure: Failure | None, before: Failure | None, *, proven: bool) -> Failure | None:
    """Return a poll's failure with the consequence to act on.

    A product that starts may refuse what it accepts a minute later: where this definition has
    worked, an answer that only a person could mend is believed the second time.

    Args:
        failure: The poll's; None: it succeeded.
        before: The failure of the attempt before; None: none.
        proven: The source has been read by this definition before.
    """
    again = before is not None and failure is not None and before.reason == failure.reason
    if failure is None or not failure.needs_a_person or again or not proven:
        return failure
    return replace(failure, consequence=Consequence.RETRIES)
