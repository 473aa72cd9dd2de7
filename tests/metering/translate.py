"""Between the oracle's ticks and the product's milliseconds: the same history, told to both."""

from licenseusage.metering.cycles import DAY_MS, Cycle
from licenseusage.metering.facts import Facts, Row, list_facts
from licenseusage.metering.properties import Properties, Removal
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
        removal=Removal.NEVER if spec.kept == oracle.INF else Removal.UNKNOWN,
        ids_stable=spec.id_stable,
        id_reuse=spec.id_reuse,
        initial_created=spec.initial_created,
    )


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
    )
