"""The cycle that runs while a licence with other terms comes is reported under the old one."""

from datetime import date

import pytest

from licenseusage.controller.enrolling import license_of_cycle
from licenseusage.ledger.ledger import Ledger
from licenseusage.ledger.records import MeterKey, ReportKind, SignedDocument
from licenseusage.metering.cycles import Terms
from licenseusage.reports.enrolment import build_enrolment
from licenseusage.reports.names import digest, jti_of, key_chain_id
from licenseusage.reports.terms import CycleTerms
from tests.receiver.people import key, licence

ANCHOR = date(2026, 3, 1)
OLD = licence(subscription="old", cycle=CycleTerms(ANCHOR, length_days=7))
NEW = licence(subscription="new", cycle=CycleTerms(ANCHOR, length_days=3))
CYCLE = Terms(ANCHOR, length_days=7).cycle(0)
KEY = key("installation")


class Books:
    def __init__(self, ledger):
        self.ledger = ledger

    async def do(self, work):
        return work(self.ledger)


@pytest.fixture
def ledger(tmp_path):
    with Ledger.open(f"sqlite:///{tmp_path}/ledger.sqlite", now_ms=1, ledger_id="ledger") as book:
        yield book


def enrol(ledger, license_, key=KEY):
    chain = key_chain_id(
        vendor=license_.vendor,
        installation=key.installation,
        subscription=license_.subscription,
    )
    token = build_enrolment(license_, key, issued_at_s=CYCLE.start_ms // 1000)
    document = SignedDocument(jti_of(chain, 1), digest(token), token)
    ledger.add_key_statement(chain, ReportKind.ENROLMENT, 1, document, CYCLE.start_ms)


def meter(ledger, name, license_):
    made = ledger.ensure_meter(MeterKey("shop", name, license_.product), CYCLE.start_ms)
    terms = Terms(ANCHOR, length_days=license_.cycle.length_days)
    return ledger.keep_terms(made.id, terms, CYCLE.start_ms, license_token=license_.token)


async def of_cycle(ledger, meter_id, installation=KEY.installation):
    return await license_of_cycle(Books(ledger), CYCLE, NEW, meter_id, installation)


async def test_a_cycle_without_any_report_belongs_to_the_licence_it_began_under(ledger):
    mine = meter(ledger, "production", OLD)
    enrol(ledger, OLD)
    meter(ledger, "production", NEW)
    enrol(ledger, NEW)
    found = await of_cycle(ledger, mine.id)
    assert found is not None
    assert found.subscription == "old"


async def test_a_licence_of_another_object_is_not_taken(ledger):
    mine = meter(ledger, "production", NEW)
    enrol(ledger, NEW)
    meter(ledger, "staging", OLD)
    enrol(ledger, OLD)
    assert await of_cycle(ledger, mine.id) is None


async def test_of_two_licences_that_could_be_it_none_is_guessed(ledger):
    mine = meter(ledger, "production", NEW)
    for subscription in ("old", "older"):
        enrol(ledger, licence(subscription=subscription, cycle=OLD.cycle))
    assert await of_cycle(ledger, mine.id) is None


async def test_a_licence_of_another_product_or_installation_is_not_taken(ledger):
    mine = meter(ledger, "production", NEW)
    enrol(ledger, licence(subscription="old", product="another", cycle=OLD.cycle))
    enrol(ledger, OLD, key("another installation"))
    assert await of_cycle(ledger, mine.id) is None
