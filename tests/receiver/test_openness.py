"""Findings end: each belongs to a cycle, and the overview is green when nothing is open."""

from dataclasses import replace

import pytest

from licenseusage.receiver.openness import DocumentFinding, Stated, findings_of_chain, names_of
from licenseusage.reports.content import Gap, ReportCoverage, ReportRules
from licenseusage.reports.enrolment import build_enrolment
from tests.receiver.people import ANCHOR, CYCLE, DAY, Customer, chain_id, key
from tests.receiver.test_pages import read

CHANGED = ReportRules("signed in", "sha256:" + "0" * 64, changes_in_cycle=1)


def gappy(cycle):
    start = ANCHOR + cycle * CYCLE
    return ReportCoverage(CYCLE - DAY, (Gap(start, start + DAY, "SourceDown"),))


def green(receiver):
    return "nothing is open" in read(receiver.get("/"))


def test_an_open_finding_is_not_green(receiver, customer):
    receiver.put_report(customer.report(rules=CHANGED))
    text = read(receiver.get("/"))
    assert "1 with something open" in text
    assert "apps/meter 1 open" in text
    assert "open: RulesChanged" in text


def test_it_ends_with_the_next_cycle_s_final_and_stays_with_its_cycle(receiver, customer, clock):
    clock.now_s = ANCHOR + 61 * DAY
    first = customer.report(kind="final", rules=CHANGED)
    second = customer.report(first, kind="final", cycle=1)
    receiver.put_report(first)
    assert not green(receiver)
    receiver.put_report(second)
    assert green(receiver)
    page = read(receiver.get(f"/chains/{chain_id(first)}"))
    assert "RulesChanged (closed)" in page
    assert "Open: none" in page


def test_a_finding_of_an_interim_belongs_to_its_cycle_after_the_final(receiver, customer, clock):
    clock.now_s = ANCHOR + 31 * DAY
    first = customer.report(rules=CHANGED)
    for token in (first, customer.report(first, kind="final")):
        receiver.put_report(token)
    page = read(receiver.get(f"/chains/{chain_id(first)}"))
    assert "2026-01-30" not in page
    assert page.count("RulesChanged") == 3  # open, of its cycle, of its report


def test_a_running_cycle_s_interims_close_nothing(receiver, customer, clock):
    clock.now_s = ANCHOR + 46 * DAY
    first = customer.report(kind="final", rules=CHANGED)
    for token in (first, customer.report(first, cycle=1)):
        receiver.put_report(token)
    assert not green(receiver)


def test_gaps_end_with_an_amendment_that_has_none(receiver, customer, clock):
    clock.now_s = ANCHOR + 31 * DAY
    final = customer.report(kind="final", coverage=gappy(0))
    receiver.put_report(final)
    assert not green(receiver)
    receiver.put_report(customer.amendment(final, final))
    assert green(receiver)


def test_an_amendment_of_a_past_cycle_opens_it_until_the_next_final(receiver, customer, clock):
    clock.now_s = ANCHOR + 61 * DAY
    first = customer.report(kind="final")
    second = customer.report(first, kind="final", cycle=1)
    issued = ANCHOR + 60 * DAY
    restated = customer.amendment(second, first, users=38, reason="Restated", issued_at_s=issued)
    for token in (first, second, restated):
        receiver.put_report(token)
    assert "open: AmendmentLate, Restated" in read(receiver.get("/"))
    clock.now_s = ANCHOR + 91 * DAY
    receiver.put_report(customer.report(restated, kind="final", cycle=2))
    assert green(receiver)


def test_a_conflict_is_open_until_a_final_arrives_after_it(receiver, customer, clock):
    clock.now_s = ANCHOR + 61 * DAY
    first = customer.report(kind="final")
    second = customer.report(first, kind="final", cycle=1)
    for token in (first, second, customer.report(kind="final", users=1)):
        receiver.put_report(token)
    assert "apps/meter conflict" in read(receiver.get("/"))
    clock.now_s = ANCHOR + 91 * DAY
    receiver.put_report(customer.report(second, kind="final", cycle=2))
    assert green(receiver)
    assert "Conflicts kept as evidence 1" in read(receiver.get(f"/chains/{chain_id(first)}"))


def test_a_refused_final_is_open_until_another_takes_its_place(receiver, customer, clock):
    clock.now_s = ANCHOR + 29 * DAY
    wrong = customer.report(kind="final")
    receiver.put_report(wrong)
    assert "open: IssuedInFuture" in read(receiver.get("/"))
    clock.now_s = ANCHOR + 31 * DAY
    receiver.put_report(customer.report(wrong, kind="final"))
    assert green(receiver)


def test_a_silence_ends_with_the_report_that_ends_it(receiver, customer, clock):
    clock.now_s = ANCHOR + 16 * DAY
    first = customer.report()
    receiver.put_report(first)
    clock.now_s = ANCHOR + 31 * DAY
    assert not green(receiver)
    receiver.put_report(customer.report(first, kind="final"))
    assert green(receiver)
    assert "ReportOverdue (closed)" in read(receiver.get("/"))


def test_a_gap_ends_when_what_was_missing_arrives(receiver, customer, clock):
    clock.now_s = ANCHOR + 31 * DAY
    first = customer.report()
    receiver.put_report(customer.report(first, kind="final"))
    assert not green(receiver)
    receiver.put_report(first)
    assert green(receiver)


def test_nothing_more_is_expected_of_an_installation_that_was_replaced(receiver, customer, clock):
    receiver.put_report(customer.report())
    clock.now_s += 30 * DAY
    new = Customer("new")
    token = build_enrolment(
        new.license, key("new"), issued_at_s=ANCHOR, replaces=customer.first.installation
    )
    assert receiver.put_key(token).status_code == 201
    text = read(receiver.get("/"))
    assert "replaced by another installation" in text
    assert "nothing is open" in text


FOUND = DocumentFinding("RulesChanged", 3, "final", 9, 1000, "Accepted")


@pytest.mark.parametrize(
    ("found", "stated", "is_open"),
    [
        (FOUND, {}, True),
        (FOUND, {3: Stated("final", 9, 1000, ("RulesChanged",))}, True),
        (FOUND, {4: Stated("interim", 10, 2000, ())}, True),
        (FOUND, {4: Stated("final", 10, 1000, ())}, False),
        (FOUND, {2: Stated("final", 10, 2000, ())}, True),
        (replace(FOUND, sequence=11), {4: Stated("final", 10, 2000, ())}, True),
        (replace(FOUND, cycle=None), {4: Stated("final", 10, 2000, ())}, False),
        (replace(FOUND, name="LicenseUnknown"), {4: Stated("final", 10, 2000, ())}, True),
        (replace(FOUND, name="ReportOverdue"), {}, False),
        (replace(FOUND, verdict="Conflict"), {4: Stated("final", 10, 1000, ())}, True),
        (replace(FOUND, verdict="Conflict"), {4: Stated("final", 10, 1001, ())}, False),
        (
            replace(FOUND, verdict="Rejected", name="CycleOrder"),
            {3: Stated("interim", 10, 1001, ())},
            True,
        ),
        (
            replace(FOUND, verdict="Rejected", name="CycleOrder", kind="interim"),
            {3: Stated("interim", 10, 1001, ())},
            False,
        ),
    ],
)
def test_what_is_open(found, stated, is_open):
    (one,) = findings_of_chain([found], stated, missing=False, overdue=False)
    assert one.open is is_open


def test_one_open_document_leaves_a_finding_open_and_the_chain_as_it_is_comes_first():
    stated = {4: Stated("final", 10, 2000, ())}
    found = [FOUND, replace(FOUND, sequence=12), replace(FOUND, cycle=4)]
    findings = findings_of_chain(found, stated, missing=True, overdue=True)
    assert [(one.name, one.cycle, one.open) for one in findings] == [
        ("ChainGap", None, True),
        ("ReportOverdue", None, True),
        ("RulesChanged", 4, True),
        ("RulesChanged", 3, True),
    ]
    assert names_of(findings) == ("ChainGap", "ReportOverdue", "RulesChanged")
    assert names_of(findings, cycle=3) == ("RulesChanged",)
