"""What an answer said against its own completeness is named by the statement and by the report."""

from dataclasses import replace

from licenseusage.ledger.documents.closing import Signing
from licenseusage.metering.bounds import Bounds
from licenseusage.reports.content import Uncertainty
from licenseusage.reports.inwords import in_words
from licenseusage.reports.report import read_report
from tests.ledger import book
from tests.ledger.conftest import CYCLE, END, MINUTE_MS, START, declared, failed, poll

CLOSING = END + 2 * MINUTE_MS


def doubted(at_ms: int, reason: str):
    return replace(poll(at_ms, {"ada": START}, complete=False), incomplete=reason)


def stated(ledger):
    return ledger.statement(1, CYCLE, sources=[declared()], as_of_ms=END)


def test_a_doubt_after_the_end_is_why_there_is_no_upper_bound(ledger):
    ledger.record_poll(doubted(CLOSING, "ListCut"), CLOSING)
    said = stated(ledger)
    assert said.unbounded == ("ListCut", "NoClosingPoll")
    assert said.words == (
        "at least 1: nothing could be read completely after the cycle's end (ListCut)"
    )


def test_the_newest_doubt_is_told_and_a_failed_poll_does_not_hide_it(ledger):
    ledger.record_poll(doubted(CLOSING, "ListCut"), CLOSING)
    ledger.record_poll(doubted(CLOSING + MINUTE_MS, "RowsRepeated"), CLOSING)
    ledger.record_poll(failed(CLOSING + 2 * MINUTE_MS), CLOSING)
    assert stated(ledger).unbounded == ("RowsRepeated", "NoClosingPoll")


def test_a_doubt_before_the_end_says_nothing_of_the_closing(ledger):
    ledger.record_poll(doubted(END - MINUTE_MS, "ListCut"), END)
    assert stated(ledger).unbounded == ("NoClosingPoll",)


def test_a_complete_poll_heals_the_doubt(ledger):
    ledger.record_poll(doubted(CLOSING, "ListCut"), CLOSING)
    ledger.record_poll(poll(CLOSING + MINUTE_MS, {"ada": START}), CLOSING)
    assert (stated(ledger).unbounded, stated(ledger).active_text) == ((), "1")


def test_the_report_of_a_contradicted_cycle_tells_that_a_guarantee_is_refuted(tmp_path):
    with book.opened(tmp_path / "ledger.sqlite") as ledger:
        book.begin(ledger)
        book.count(ledger, CLOSING, "ada")
        contradicted = replace(stated(ledger), bounds=Bounds(2, 1, conflict=True))
        ledger.begin_close(1, CYCLE, reason="Test", statement=contradicted, now_ms=CLOSING)
        ledger.close_cycle(1, CYCLE, CLOSING, Signing(book.CHAIN, book.ISSUER.sign, CLOSING))
        (final,) = [item for item in ledger.reports(1) if item.kind == "Final"]
        content = read_report(final.token).content
    assert content.accuracy == "Unknown"
    assert content.uncertainty == (Uncertainty("GuaranteeRefuted", 0),)
    assert in_words(content) == (
        "unknown: the product's answers contradict a guarantee that is declared of it"
    )


def test_the_report_tells_why_there_is_no_upper_bound(tmp_path):
    with book.opened(tmp_path / "ledger.sqlite") as ledger:
        book.begin(ledger)
        ledger.record_poll(replace(doubted(CLOSING, "ListCut"), rules_digest=book.RULES), CLOSING)
        book.final(ledger)
        (final,) = [item for item in ledger.reports(1) if item.kind == "Final"]
        report = read_report(final.token)
    assert report.content.uncertainty == (
        Uncertainty("ListCut", 0),
        Uncertainty("NoClosingPoll", 0),
    )
