"""Histories with files, restores and approvals hold, and each broken rule of these is noticed.

One short history without other trouble, whose events are given, so that a breach is seen at once.
"""

import dataclasses
from datetime import date
from unittest import mock

import pytest

from licenseusage.controller.rules.approval import Changes
from licenseusage.controller.rules.key import Key
from licenseusage.controller.steps import receipts
from licenseusage.delivery.imported import settle_imported
from licenseusage.ledger.upkeep import snapshot
from licenseusage.metering.cycles import Terms
from licenseusage.reports.names import Link
from trials.soak.drawing import draw
from trials.soak.history import play
from trials.soak.kinds.drawing import LISTS
from trials.soak.need import Violation
from trials.soak.people import DAY_MS, HOUR_MS
from trials.soak.plan import Event

SEED = "by file 274"
"""One object with cycles of two days, an interim every hour, and ten people, never removed."""


def story(*happens, mode="Export", endpoint=True, approval="Automatic", interval_hours=24):
    """Play a history in which this happens, each so many hours after the start."""
    plan = draw(SEED, 2, (LISTS,))
    (usage,) = plan.usages
    usage.mode, usage.endpoint, usage.carried = mode, endpoint, True
    usage.approval, usage.approved = approval, True
    usage.interval_hours = interval_hours
    for shop in usage.shops.values():
        shop.faults = ()
    plan.outages, plan.api_outages, plan.clock_error_ms = (), [], (0, 0)
    plan.spread_seconds = 0
    looks = range(0, 72, 9)
    plan.events = [
        *(Event(plan.start_ms + hour * HOUR_MS, "look", usage.name) for hour in looks),
        *(
            Event(plan.start_ms + round(hours * HOUR_MS), kind, usage.name, value)
            for hours, kind, value in happens
        ),
    ]
    usage.terms += [(e.at_ms, e.value) for e in plan.events if e.kind == "license"]
    plan.events.sort(key=lambda event: event.at_ms)
    plan.end_ms = plan.start_ms + 3 * DAY_MS
    return play(plan)


def pack(hours, number=1):
    return (hours, "pack", (number, ()))


def carry(hours, damage="", number=1):
    return (hours, "carry", (number, damage))


def bring_back(hours, how="whole", number=1):
    return (hours, "bring_back", (number, how))


FORFEITED = (
    (10, "back_up", None),
    (12, "want_approval", "Manual"),
    (60, "forfeit", (0.0, 1.0)),
)
"""Reports that nobody had approved are lost, with the ledger and as objects."""

BEFORE_THE_LICENCE = (
    (10, "back_up", None),
    (20, "license", Terms(date(2026, 2, 11), length_days=3)),
    (64, "restore", 0.0),
)


# --- it holds ------------------------------------------------------------------------------------


def test_files_are_carried_late_twice_and_damaged_and_receipts_come_back():
    tally = story(
        pack(30),
        *(carry(31, damage) for damage in ("cut", "edited", "lineLost", "lineEnds")),
        pack(60, number=2),
        carry(60.5, "badLine", number=2),
        carry(61, number=2),
        carry(62),
        *(bring_back(63, how, number=2) for how in ("elsewhere", "damaged", "one", "twice")),
        endpoint=False,
    )
    damaged = {name for name in tally.faults if name.startswith("file ")}
    assert len(damaged) == 5
    assert tally.notes["receipts brought, twice"] == 1


def test_an_old_ledger_is_restored_and_completed_from_objects_and_receipts():
    tally = story((10, "back_up", None), (29, "restore", 0.0), mode="Online")
    assert tally.notes["chains stopped by a restore"] == 1
    assert tally.notes["ledgers merged"] == 0


def test_an_old_ledger_is_restored_and_the_replaced_one_is_merged():
    tally = story((10, "back_up", None), (60, "restore", 0.0), (60, "merge", None), mode="Online")
    assert tally.notes["chains resumed by a merge"] == 1


def test_an_old_ledger_follows_the_licence_that_its_reports_were_under():
    tally = story(*BEFORE_THE_LICENCE, mode="Online")
    assert tally.notes["ledgers merged"] == 0
    assert tally.faults["licence with new terms"] == 1


def test_a_merge_brings_the_enrolment_of_a_licence_that_came_after_the_backup():
    license_ = (32, "license", Terms(date(2026, 2, 11), length_days=1))
    back = (43.3, "restore", 0.0), (43.3001, "merge", None)
    tally = story((30, "back_up", None), license_, *back)
    assert tally.notes["documents merged"] == 1
    assert tally.documents["enrolment"] == 2


def test_a_person_names_the_head_behind_which_a_chain_goes_on():
    tally = story(*FORFEITED, mode="Online")
    assert tally.notes["heads named"] == 1
    assert tally.notes["documents signed anew"] > 0


def test_a_lost_ledger_goes_on_by_consent_and_where_nothing_is_left_is_counted_anew():
    tally = story((40, "lose", (0.0, 0.0)), mode="Online")
    assert tally.notes["heads named"] == 1
    tally = story((40, "lose", (0.0, 1.0)), mode="Online")
    assert tally.notes["objects applied anew"] == 1


def test_reports_wait_for_approval_on_line_and_in_files():
    tally = story(
        (20, "approve", 1.0),
        (30, "switch", "Export"),
        pack(40),
        (50, "approve", 1.0),
        (51, "take_back", None),
        pack(60, number=2),
        carry(61, number=2),
        mode="Online",
        approval="Manual",
    )
    assert tally.notes["approvals"] > 2
    assert tally.notes["approvals taken back"] == 1


def test_many_approved_interims_wait_for_a_file_and_stay_approved():
    again = [(hour, "approve", 1.0) for hour in range(2, 72, 3)]
    looks = [(hour + 0.5, "look", None) for hour in range(2, 72, 3)]
    tally = story(*again, *looks, endpoint=False, approval="Manual", interval_hours=6)
    assert tally.documents["interim"] > 10


# --- what is broken is noticed -------------------------------------------------------------------


def test_what_is_exported_and_sent_all_the_same_is_noticed():
    asked = {"return_value": False}
    with (
        mock.patch("licenseusage.controller.steps.delivering.is_exporting", **asked),
        mock.patch("licenseusage.controller.steps.rerouting.is_exporting", **asked),
        pytest.raises(Violation, match="is exported"),
    ):
        story()


def test_a_receipt_that_acknowledges_more_than_it_covers_is_noticed():
    def wrong(document, receipt, now_ms):
        settlement = settle_imported(document, receipt, now_ms)
        return dataclasses.replace(settlement, acknowledged=Link(10**6, "sha256:" + "0" * 64))

    with (
        mock.patch.object(receipts, "settle_imported", wrong),
        pytest.raises(Violation, match="the vendor does not have"),
    ):
        story(pack(12), carry(13), bring_back(60), endpoint=False)


def test_a_receipt_of_another_namespace_that_is_used_is_noticed():
    with (
        mock.patch.object(receipts, "_owners", return_value=[Key("shop", "usage-0")]),
        pytest.raises(Violation, match="no receipt that was brought covers it"),
    ):
        story(pack(30), carry(31), bring_back(32, "elsewhere"), endpoint=False)


def test_a_damaged_file_that_is_stored_in_part_is_noticed():
    with (
        mock.patch("licenseusage.receiver.senders.verify_manifest"),
        pytest.raises(Violation, match="a file lineLost"),
    ):
        story(pack(12), carry(13), pack(30, number=2), carry(31, "lineLost", number=2))


def test_a_restored_ledger_that_signs_positions_anew_is_noticed():
    with (
        mock.patch.object(snapshot, "_stop_chains", return_value=()),
        mock.patch("licenseusage.controller.steps.history._compare", return_value={}),
        pytest.raises(Violation, match=r"is Conflict|signed twice"),
    ):
        story((10, "back_up", None), (29, "restore", 0.0), mode="Online")


def test_a_restored_ledger_that_lets_the_former_licence_go_on_is_noticed():
    unknown = mock.AsyncMock(return_value=None)
    with (
        mock.patch("licenseusage.controller.steps.reconcile.reported_from_ms", unknown),
        pytest.raises(Violation),
    ):
        story(*BEFORE_THE_LICENCE, mode="Online")


def test_a_chain_that_goes_on_without_consent_is_noticed():
    with (
        mock.patch("licenseusage.controller.steps.recovery.rebuilt", return_value=()),
        pytest.raises(Violation, match="signed twice"),
    ):
        story(*FORFEITED, mode="Online")


def test_a_chain_that_goes_on_without_its_lost_reports_is_noticed():
    with (
        mock.patch("licenseusage.controller.steps.recovery.rebuilt", return_value=()),
        pytest.raises(Violation),
    ):
        story((10, "back_up", None), (29, "restore", 0.0), mode="Online")


def let_everything_go(key, reports, *_, **__):
    return Changes(release=frozenset(report.jti for report in reports))


@pytest.mark.parametrize(
    ("mode", "words"), [("Online", "is sent and nobody"), ("Export", "is exported and nobody")]
)
def test_a_report_that_nobody_approved_and_that_leaves_is_noticed(mode, words):
    with (
        mock.patch("licenseusage.controller.steps.approving.changes", let_everything_go),
        pytest.raises(Violation, match=words),
    ):
        story(pack(30), mode=mode, approval="Manual")
