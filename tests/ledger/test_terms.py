"""Which licence a cycle is reported under: the one it began under, as it was renewed last."""

from datetime import date

import pytest

from licenseusage.ledger.records import MeterKey, Subscribed
from licenseusage.metering.cycles import Cycle, Terms

ANCHOR = date(2026, 3, 1)
WEEKS = Terms(ANCHOR, length_days=7)
TRIPLETS = Terms(ANCHOR, length_days=3)
RUNNING = WEEKS.cycle(0)
NOW = RUNNING.start_ms + 1
OLD = Subscribed("vendor old", "the old licence")
NEW = Subscribed("vendor new", "the new licence")


@pytest.fixture
def keep(reopen):
    """Keep terms of one meter, each time in a ledger that is opened anew."""

    def kept(terms, licensed=None, now_ms=NOW):
        with reopen() as ledger:
            meter = ledger.ensure_meter(MeterKey("shop", "production", "shop"), now_ms)
            ledger.keep_terms(meter.id, terms, now_ms, licensed=licensed)
        with reopen() as ledger:
            (held,) = ledger.meters()
            return held

    return kept


def test_the_running_cycle_is_reported_under_the_licence_it_began_under(keep):
    keep(WEEKS, OLD)
    meter = keep(TRIPLETS, NEW)
    assert meter.license_of(RUNNING) == OLD.token
    assert meter.license_token == NEW.token
    assert meter.license_of(TRIPLETS.cycle(3)) == NEW.token


def test_another_contract_with_the_same_terms_waits_for_the_next_cycle_too(keep):
    keep(WEEKS, OLD)
    meter = keep(WEEKS, NEW)
    assert [meter.license_of(WEEKS.cycle(i)) for i in (0, 1)] == [OLD.token, NEW.token]


def test_a_renewed_licence_of_the_same_contract_acts_at_once(keep):
    keep(WEEKS, OLD)
    meter = keep(WEEKS, Subscribed(OLD.subscription, "renewed"))
    assert meter.license_of(RUNNING) == meter.license_token == "renewed"
    assert meter.licenses == {OLD.subscription: "renewed"}


def test_a_contract_that_comes_back_is_known_again(keep):
    keep(WEEKS, OLD)
    keep(TRIPLETS, NEW)
    meter = keep(WEEKS, Subscribed(OLD.subscription, "renewed"))
    assert meter.license_of(RUNNING) == meter.license_of(WEEKS.cycle(1)) == "renewed"


def test_a_cycle_counted_without_a_licence_is_reported_under_the_first_of_its_terms(keep):
    assert keep(WEEKS).license_of(RUNNING) is None
    assert keep(WEEKS, OLD).license_of(RUNNING) == OLD.token


def test_a_cycle_counted_without_a_licence_is_not_reported_under_one_of_other_terms(keep):
    keep(WEEKS)
    assert keep(TRIPLETS, NEW).license_of(RUNNING) is None


def test_terms_without_a_licence_leave_the_running_cycle_its_own(keep):
    keep(WEEKS, OLD)
    meter = keep(WEEKS)
    assert meter.license_token is None
    assert meter.license_of(RUNNING) == OLD.token


@pytest.mark.parametrize(
    "cycle",
    [
        pytest.param(Cycle(-1, RUNNING.start_ms - 7, RUNNING.start_ms), id="before the first"),
        pytest.param(TRIPLETS.cycle(0), id="of other terms"),
    ],
)
def test_a_cycle_that_the_terms_do_not_have_belongs_to_no_licence(keep, cycle):
    assert keep(WEEKS, OLD).license_of(cycle) is None
