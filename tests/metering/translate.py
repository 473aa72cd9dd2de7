"""Between the oracle's ticks and the product's milliseconds: the same history, told to both."""

from dataclasses import replace

from licenseusage.metering.cycles import DAY_MS, Cycle
from licenseusage.metering.facts import Facts, Row, horizon_ms, list_facts
from licenseusage.metering.polled import Polled
from licenseusage.metering.proofs import Proof, Proofs
from licenseusage.metering.properties import Properties, Removal
from licenseusage.metering.refuting import refuted_by, seen_in
from licenseusage.metering.roster import Listed
from tests.metering.oracle import bounds as oracle
from tests.metering.oracle.simulator import DAY, E, S

TICK_MS = DAY_MS // DAY
CYCLE = Cycle(0, S * TICK_MS, E * TICK_MS)


def properties(spec: oracle.ListSpec) -> Properties:
    """The declared side. A granule of n ticks ends with its last tick: (n - 1) ticks + 1 ms."""
    return Properties(
        granularity_ms=(spec.granularity - 1) * TICK_MS + 1,
        skew_ms=spec.skew * TICK_MS,
        lag_ms=spec.lag * TICK_MS,
        hidden_ms=spec.hidden * TICK_MS,
        removal=_removal(spec),
        ids_stable=spec.id_stable,
        id_reuse=spec.id_reuse,
        initial_created=spec.initial_created,
    )


def _removal(spec: oracle.ListSpec) -> Removal:
    if spec.listed_once:
        return Removal.LISTED_ONCE
    return Removal.NEVER if spec.kept == oracle.INF else Removal.UNKNOWN


def ms(ticks: float) -> int | None:
    """A span; None for ever."""
    return None if ticks == oracle.INF else int(ticks) * TICK_MS


def polled(poll: oracle.Poll, skew: int = 0) -> Polled:
    times = poll.start * TICK_MS, poll.end * TICK_MS, skew * TICK_MS
    return Polled.at(*times, complete=poll.complete)


def listed(spec: oracle.ListSpec, poll: oracle.Poll) -> Listed:
    """Everybody listed, told apart as the sources do it."""
    first = horizon_ms(CYCLE, properties(spec))
    times = [(name, value, created) for name, value, created in poll.rows if value is not None]
    return Listed(
        never=[user(name) for name, value, _ in poll.rows if value is None],
        early=[user(name) for name, value, _ in times if value * TICK_MS < first],
        later=[
            (user(name), value * TICK_MS, None if created is None else created * TICK_MS)
            for name, value, created in times
            if value * TICK_MS >= first
        ],
    )


def proofs(facts: oracle.Facts) -> Proofs:
    """The oracle's own facts as proof records."""
    records = {
        window: frozenset(
            Proof(
                int(rec.lo) * TICK_MS,
                int(rec.hi) * TICK_MS,
                frozenset(user(u) for u in rec.maybe | oracle.certain_users(facts, window)),
            )
            for rec in recs
        )
        for window, recs in facts.recs.items()
    }
    return Proofs({user(u): bits for u, bits in facts.bits.items()}, records)


def user(name: str) -> bytes:
    return name.encode().ljust(16, b".")


def facts(spec: oracle.ListSpec, poll: oracle.Poll, already_closed: int = 0) -> Facts:
    """The facts that the project makes of one poll of the oracle's world."""
    rows = [
        Row(user(name), value * TICK_MS, None if created is None else created * TICK_MS)
        for name, value, created in poll.rows
        if value is not None
    ]
    return list_facts(
        CYCLE,
        properties(spec),
        started_ms=poll.start * TICK_MS,
        ended_ms=poll.end * TICK_MS,
        clock_skew_ms=spec.poll_skew * TICK_MS,
        complete=poll.complete,
        rows=rows,
        already_closed=already_closed,
        listed=listed(spec, poll),
    )


def judged(spec: oracle.ListSpec, found: Facts, **more: object) -> Properties:
    """What is left of what is declared, after the facts have been held against it."""
    declared = replace(properties(spec), **more)
    return replace(
        declared, refuted=frozenset(refuted_by(declared, seen_in(CYCLE, declared, found)))
    )
