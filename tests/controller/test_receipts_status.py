"""What the status of a UsageReceipt says: pure, from what became of each receipt."""

import pytest

from licenseusage.controller.rules.imported import ImportedReceipt, Standing, compose, halted
from licenseusage.errors import Consequence, Failure
from licenseusage.reasons import Reason

NOW_MS = 1_790_000_000_000


def receipt(standing, result="Accepted", reason=None, *, token="a.b.cccc", person=False):
    return ImportedReceipt(
        token, standing, result, "0" * 32 + "-0000000001", reason, "Seen. Do this.", person
    )


USED = receipt(Standing.USED)
REJECTED = receipt(Standing.USED, "Rejected", Reason.COUNTS_INCONSISTENT, token="a.b.dddd")
WAITING = receipt(Standing.WAITING, "Waiting", Reason.DOCUMENT_UNKNOWN)
CONTRADICTED = receipt(Standing.CONTRADICTED, "Rejected", Reason.RECEIPT_CONTRADICTED, person=True)
NO_KEY = receipt(Standing.UNVERIFIABLE, "Waiting", Reason.KEY_UNKNOWN, person=True)
NO_SERVER = receipt(Standing.UNVERIFIABLE, "Waiting", Reason.API_UNAVAILABLE)
INVALID = receipt(Standing.INVALID, "Invalid", Reason.SIGNATURE_INVALID, person=True)


def conditions_of(*receipts, previous=()):
    """The conditions, as type -> status and reason."""
    status = compose(receipts, previous, 3, NOW_MS)
    return {c["type"]: (c["status"], c["reason"]) for c in status["conditions"]}


def test_all_used_is_ready_and_verified_and_nothing_else():
    good = ("True", "ReceiptsImported")
    assert conditions_of(USED, REJECTED) == {"Ready": good, "Verified": good}


def test_the_message_counts_what_the_vendor_decided():
    status = compose([USED, REJECTED], (), 3, NOW_MS)
    message = status["conditions"][0]["message"]
    assert message == "2 receipts are verified and in the ledger: 1 accepted, 1 rejected."
    assert (status["total"], status["accepted"], status["observedGeneration"]) == (2, 1, 3)


@pytest.mark.parametrize(
    ("worst", "summary", "verified"),
    [
        (WAITING, "Reconciling", ("Unknown", "DocumentUnknown")),
        (NO_SERVER, "Reconciling", ("False", "APIUnavailable")),
        (CONTRADICTED, "Stalled", ("True", "ReceiptsImported")),
        (NO_KEY, "Stalled", ("False", "KeyUnknown")),
        (INVALID, "Stalled", ("False", "SignatureInvalid")),
    ],
)
def test_the_worst_receipt_decides(worst, summary, verified):
    assert conditions_of(USED, worst) == {
        "Ready": ("False", worst.reason),
        summary: ("True", worst.reason),
        "Verified": verified,
    }


def test_a_person_is_asked_for_before_anything_is_waited_for():
    shown = conditions_of(WAITING, INVALID)
    assert "Reconciling" not in shown
    assert shown["Stalled"] == ("True", "SignatureInvalid")


def test_the_message_names_the_receipt_and_how_many_are_like_it():
    conditions = compose([USED, WAITING, WAITING], (), 1, NOW_MS)["conditions"]
    assert conditions[0]["message"] == (
        f"Receipt 2 of 3 (for {'0' * 32}-0000000001): Seen. Do this. (1 more likewise.)"
    )


def test_times_move_only_when_a_status_does():
    first = compose([WAITING], (), 1, NOW_MS)["conditions"]
    same = compose([WAITING], first, 1, NOW_MS + 60_000)["conditions"]
    assert same == first
    turned = compose([USED], first, 1, NOW_MS + 60_000)["conditions"]
    assert turned[0]["lastTransitionTime"] != first[0]["lastTransitionTime"]


@pytest.mark.parametrize(
    ("consequence", "summary"),
    [(Consequence.RETRIES, "Reconciling"), (Consequence.NEEDS_A_PERSON, "Stalled")],
)
def test_without_a_ledger_single_results_stand_and_the_conditions_say_why(consequence, summary):
    live = compose([USED], (), 1, NOW_MS)
    problem = Failure(Reason.LEDGER_CORRUPT, "It is damaged.", consequence)
    status = halted(live, problem, live["conditions"], 2, NOW_MS)
    assert status["receipts"] == live["receipts"]
    shown = {c["type"]: (c["status"], c["reason"]) for c in status["conditions"]}
    assert shown == {
        "Ready": ("False", "LedgerCorrupt"),
        summary: ("True", "LedgerCorrupt"),
        "Verified": ("Unknown", "LedgerCorrupt"),
    }


def test_accepted_counts_what_was_used_and_accepts_alone():
    late = receipt(Standing.CONTRADICTED, "Accepted", Reason.RECEIPT_CONTRADICTED, person=True)
    another = receipt(Standing.USED, token="a.b.eeee")
    assert compose([USED, another, REJECTED, late], (), 3, NOW_MS)["accepted"] == 2


def test_one_receipt_is_spoken_of_as_one():
    message = compose([USED], (), 3, NOW_MS)["conditions"][0]["message"]
    assert message == "1 receipt is verified and in the ledger: 1 accepted."
    message = compose([WAITING], (), 3, NOW_MS)["conditions"][0]["message"]
    assert message == f"Receipt 1 (for {WAITING.subject}): Seen. Do this."


def test_of_two_the_message_says_which_and_a_receipt_that_cannot_be_read_is_for_nothing():
    unreadable = ImportedReceipt("x", Standing.INVALID, "Invalid", None, "MalformedToken", "No.")
    message = compose([USED, unreadable], (), 3, NOW_MS)["conditions"][0]["message"]
    assert message == "Receipt 2 of 2: No."
    assert not unreadable.needs_a_person


def test_no_receipts_are_no_results_and_nothing_is_wrong():
    status = compose([], (), 3, NOW_MS)
    assert "receipts" not in status
    assert {c["status"] for c in status["conditions"]} == {"True"}


def test_each_result_has_its_words_or_none():
    silent = ImportedReceipt("a.b.ffff", Standing.USED, "Accepted", USED.subject, None, "")
    shown = compose([USED, silent], (), 3, NOW_MS)["receipts"]
    assert [result.get("message") for result in shown] == ["Seen. Do this.", None]
    assert "message" not in shown[1]
