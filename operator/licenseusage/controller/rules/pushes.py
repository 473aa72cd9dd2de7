"""Which source a caller's activity is for, and how much of it a namespace may send."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from licenseusage.controller.rules.key import Key
from licenseusage.errors import Consequence, Failure
from licenseusage.metering.cycles import Cycle, Grid, cycle_at
from licenseusage.metering.stores import StoreKey
from licenseusage.reasons import Reason
from licenseusage.sources.definition.model import EffectiveSource


@dataclass(frozen=True, slots=True)
class Caller:
    """The service account that a token was issued to."""

    namespace: str
    service_account: str


@dataclass(frozen=True, slots=True)
class PushTarget:
    """A source whose product pushes, as the last reconcile of its object saw it.

    Attributes:
        key: The object.
        store: Where the facts go.
        cycles: Those that may still get facts, in any order.
        grids: The meter's, for a cycle that has begun since.
        key_id: Public name of the pseudonym key that ``store`` is about.
        ends_ms: The first end of a cycle that is not decided on; never: there is none.
    """

    key: Key
    meter_id: int
    product: str
    source: EffectiveSource
    store: StoreKey
    cycles: tuple[Cycle, ...]
    grids: tuple[Grid, ...]
    interval_ms: int
    rules_digest: str
    key_id: str
    ends_ms: float = math.inf

    def takes(self, caller: Caller) -> bool:
        """Whether this source names the caller; other namespaces' callers are never named."""
        return (
            caller.namespace == self.key.namespace
            and caller.service_account in self.source.push.service_accounts
        )

    def cycles_at(self, now_ms: int) -> tuple[Cycle, ...]:
        """Return the cycles that are counted: those known, and the one that runs now."""
        running = cycle_at(self.grids, now_ms)
        newest = max((cycle.start_ms for cycle in self.cycles), default=None)
        if running is None or (newest is not None and running.start_ms <= newest):
            return self.cycles
        return (*self.cycles, running)

    def latest_ms(self, now_ms: int) -> int:
        """Return the latest time that an event may have.

        As far ahead as clocks may differ, but not in a cycle that has not begun.
        """
        ahead_ms = now_ms + 1000 * (self.source.guarantees.clock_skew_seconds or 0)
        running = cycle_at(self.grids, now_ms)
        return ahead_ms if running is None else min(ahead_ms, running.end_ms - 1)


def target_of(targets: Iterable[PushTarget], caller: Caller) -> PushTarget | Failure:
    """Return the source that a caller's activity is for; or why there is none."""
    taking = [target for target in targets if target.takes(caller)]
    if len(taking) == 1:
        return taking[0]
    account = f"service account {caller.service_account} of namespace {caller.namespace}"
    if not taking:
        return Failure(
            Reason.NO_PUSH_SOURCE,
            f"no LicenseUsage of the namespace that can be counted now names {account}: name it in "
            "push.serviceAccounts of a source; if one does, its conditions say what is wrong",
            Consequence.NEEDS_A_PERSON,
        )
    return ambiguous(taking, account)


def ambiguous(targets: Sequence[PushTarget], account: str) -> Failure:
    """Return the failure of a service account that several sources name."""
    names = sorted(f"{target.key.name}/{target.source.name}" for target in targets)
    return Failure(
        Reason.PUSH_AMBIGUOUS,
        f"{account} is named by {', '.join(names[:4])}: nobody can say which of them its activity "
        "is for; give each product a service account of its own",
        Consequence.NEEDS_A_PERSON,
    )


def rivals(target: PushTarget, targets: Iterable[PushTarget]) -> Failure | None:
    """Return the failure of a source that shares a service account with another one."""
    for account in target.source.push.service_accounts:
        caller = Caller(target.key.namespace, account)
        taking = [each for each in targets if each.takes(caller)]
        if len(taking) > 1:
            named = f"Source {target.source.name}: service account {account}"
            return ambiguous(taking, named)
    return None


@dataclass(slots=True)
class Share:
    """How much a namespace may still send: a bucket that fills at a steady rate.

    Attributes:
        rate: Events a second.
        most: Events at once, after a pause.
        left: Events now; below zero: it has sent ahead of its rate.
        at_s: When that was true.
    """

    rate: float
    most: float
    left: float
    at_s: float

    def wait_s(self, now_s: float) -> float:
        """Return how long the next request has to wait, in seconds; 0: not at all.

        A request is taken while anything is left, however large it is; the next ones wait for it.
        """
        self.left = min(self.most, self.left + (now_s - self.at_s) * self.rate)
        self.at_s = now_s
        return 0.0 if self.left > 0 else (1 - self.left) / self.rate

    def take(self, events: int) -> None:
        """Take the events of a request."""
        self.left -= max(1, events)
