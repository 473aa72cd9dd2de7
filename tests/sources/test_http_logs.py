"""Event logs over HTTP: what a reading claims is true, whatever happens to the log meanwhile."""

import random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from licenseusage.metering.cycles import DAY_MS
from licenseusage.metering.pseudonym import Pseudonymiser
from tests.properties import examples
from tests.sources.eventlog import LAG_MS, EventLog, Ledger, source
from tests.sources.product import CYCLE, FixedClock

HOUR_MS = 3_600_000
PASSING = {"LogMoved", "EventsTied", "PagingIgnored"}
PSEUDONYM = Pseudonymiser(b"k" * 32, "app", CYCLE.start_ms // 1000)


def history(
    seed: int, form: str, pages: str, *, newest_first: bool, faults: bool, **more
) -> Ledger:
    """Some days of a log that is read while it is written to; with ``faults`` also harmed."""
    chance = random.Random(seed)
    edges = more.get("edges", ("start", "end"))
    order = "NewestFirst" if newest_first else "OldestFirst"
    clock = FixedClock(CYCLE.start_ms + chance.randrange(0, DAY_MS))
    log = EventLog(
        newest_first,
        size=60 if form in {"second", "text"} else 10,
        exclusive=chance.random() < 0.3,
        unstable=chance.random() < 0.3,
    )
    times = [CYCLE.start_ms - 2 * DAY_MS]

    def write(at_ms: int) -> None:
        stamp = at_ms - chance.choice([0, 0, 0, 1, 2_000, LAG_MS - 1])
        log.write(max(stamp, times[0]))

    def pass_time() -> None:
        clock.at_ms += chance.choice([1, 200, 3_000])
        for _ in range(chance.choice([0, 0, 1, 3])):
            write(clock.at_ms)
        if faults and chance.random() < 0.02:
            log.held.clear()
        if faults and chance.random() < 0.02 and ledger.state and ledger.state.position.mark:
            # A backup that is newer than the last reading nobody can notice.
            last_ms = ledger.state.position.stored_ms - chance.choice([0, 1, HOUR_MS])
            log.held = {number: row for number, row in log.held.items() if row[0] < last_ms}

    for _ in range(chance.randrange(0, 60)):
        write(chance.randrange(times[0], clock.at_ms))
    log.before = pass_time
    ledger = Ledger(log, source(form, pages, edges=edges, events={"order": order}), clock)
    ledger.limits = {"poll_pages": chance.choice([3, 8, 1000])}
    for _ in range(chance.randrange(3, 12)):
        result = ledger.poll(recorded=chance.random() > 0.1)
        assert result.failure is None or str(result.failure.reason) in PASSING
        assert ledger.unseen(PSEUDONYM) == []
        for _ in range(chance.choice([0, 0, 5, 40])):
            clock.at_ms += chance.choice([10, 500, 20_000])
            write(clock.at_ms)
        pass_time()
        clock.at_ms += chance.choice([0, 5_000, HOUR_MS])
    return ledger


WAYS = [
    ("ms", "Offset", True), ("ms", "Offset", False), ("day", "Offset", True),
    ("day", "Offset", False), ("second", "None", True), ("ms", "Page", True),
    ("text", "Cursor", False), ("ms", "Next", True), ("second", "Page", False),
    ("ms", "HeaderCursor", True),
]  # fmt: skip


@pytest.mark.parametrize(("form", "pages", "newest_first"), WAYS)
@examples(25)
@given(seed=st.integers(0, 2**32))
@example(seed=1590)  # a backup is restored between two pages
@example(seed=1036702528)  # cleared twice, and written to in between
def test_no_event_is_missing_where_all_are_said_to_be_known(form, pages, newest_first, seed):
    history(seed, form, pages, newest_first=newest_first, faults=True)


@pytest.mark.parametrize(("form", "pages", "newest_first"), WAYS)
@examples(10)
@given(seed=st.integers(0, 2**32))
@example(seed=4407)  # longer than the poll in which its last event is looked for once more
@example(seed=166)  # its first event was only just written
def test_a_log_that_nobody_harms_is_known_to_its_end(form, pages, newest_first, seed):
    ledger = history(seed, form, pages, newest_first=newest_first, faults=False)
    ledger.log.before, ledger.limits = (lambda: None), {}
    ledger.log.write(CYCLE.start_ms - DAY_MS)
    ledger.clock.at_ms += 2 * LAG_MS + 5_000
    for _ in range(3):
        result = ledger.poll()
    assert result.failure is None
    assert result.complete
    assert [reason for reason in ledger.lost if reason != "LogBegan"] == []
    assert ledger.unseen(PSEUDONYM) == []
    (known,) = ledger.ranges[-1:]
    assert known.end_ms >= ledger.clock.at_ms - LAG_MS - 5_000
