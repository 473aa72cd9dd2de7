"""The forms of a statement, read back and compared with the signed documents."""

import csv
import hashlib
import io
import json
import re
from base64 import b64encode
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from licenseusage.reports.content import Kind, OperatorInfo
from licenseusage.reports.inwords import in_words
from licenseusage.reports.receipt import stored_receipt
from licenseusage.reports.report import read_report
from licenseusage.statement.ascsv import cell
from licenseusage.statement.asjson import history_as_json
from licenseusage.statement.choosing import Newest, Numbered, year
from licenseusage.statement.cycles import Checked, SignedReport, VendorAnswer, chains_of
from licenseusage.statement.forms import Form, text_of
from licenseusage.statement.statement import state
from licenseusage.statement.words import entitled_words, number, over_words
from tests.delivery.people import VendorDesk, key
from tests.statement.anyreports import HOSTILE, contents, texts
from tests.statement.bookkeeping import ANCHOR, DAY, Bookkeeper, given, licence, rich_chain, signed
from tests.statement.page import described, read, rows

MADE_AT = ANCHOR + 345 * DAY
FORMULA = re.compile(r"\s*[=+\-@\uff1d\uff0b\uff0d\uff20]")


def statement(reports, choice=None, licenses=(), others=(), only=None):
    chains = chains_of(reports, licenses)
    return state(
        chains,
        chains_of(others),
        choice or Numbered(chains[0].cycles[-1].index),
        only=only,
        made_at_s=MADE_AT,
        made_by="licenseusage 9.9",
    )


def one_report(content, licenses=()):
    book = Bookkeeper()
    book.sign(content)
    return statement(signed(*book.tokens), licenses=licenses)


def page_of(made):
    return read(text_of(made, Form.HTML))


def table_of(made):
    return list(csv.DictReader(io.StringIO(text_of(made, Form.CSV), newline="")))


RICH = rich_chain().tokens


def rich(choice=None, licensed=True):
    licenses = given(licence()) if licensed else ()
    return statement(signed(*RICH), choice or Newest(finished=True), licenses)


def warned(made):
    return " ".join(made.warnings)


# -- whatever a report says


@for_all(contents(), st.booleans())
def test_the_page_says_what_the_report_says(content, licensed):
    made = one_report(content, given(licence(maximum=700)) if licensed else ())
    (cycle,) = made.cycles
    page, names = page_of(made), described(page_of(made))
    assert page.classed("big")[0].text == number(content)
    assert page.classed("verdict")[0].text == over_words(cycle)
    assert names["Entitled"] == entitled_words(cycle)
    assert names["Accuracy"] == content.accuracy
    upper = content.active_users_upper_bound
    if upper is not None:
        assert names["At most"] == f"{upper:,}"
    provisioned = content.provisioned_users
    assert names["Provisioned"] == ("not known" if provisioned is None else f"{provisioned:,}")
    assert names["Digest"] == cycle.value.envelope.digest
    assert names["Id"] == cycle.value.envelope.jti
    assert " ".join(content.rules.definition.split()) in page.text
    if ": " in in_words(content):
        assert in_words(content) in page.text
    for gap in content.coverage.gaps:
        assert gap.reason in page.text
    for name, count in content.rules.exclusions.items():
        assert f"{count:,} {name}" in names["Not counted"]


@for_all(contents())
def test_the_days_of_the_page_are_those_of_the_report(content):
    page = page_of(one_report(content))
    days = content.daily_active_users
    if not days:
        assert page.all("svg") == []
        return
    (weeks,) = page.classed("weeks")
    cells = [text for row in rows(weeks)[1:] for text in row[1:] if text]
    assert cells == ["not known" if day is None else f"{day:,}" for day in days]
    assert len(page.classed("unknown")) == 2 * sum(day is None for day in days)
    assert len(page.classed("zero")) == 2 * sum(day == 0 for day in days)


@for_all(contents())
def test_the_row_of_the_csv_says_what_the_report_says(content):
    (row,) = table_of(one_report(content, given(licence(maximum=700))))

    def shown(value):
        return "" if value is None else str(value)

    assert row["active_users"] == shown(content.active_users)
    assert row["active_users_upper_bound"] == shown(content.active_users_upper_bound)
    assert row["accuracy"] == content.accuracy
    assert row["provisioned_users"] == shown(content.provisioned_users)
    assert row["in_words"].removeprefix("'") == in_words(content)
    assert row["observed_seconds"] == str(content.coverage.observed_seconds)
    assert row["entitled"] == ("700" if content.license_id == "lic-1" else "")
    days = content.daily_active_users
    assert row["daily_active_users"].split() == [
        "?" if day is None else str(day) for day in days or ()
    ]


@for_all(contents())
def test_the_json_says_what_the_report_says(content):
    made = json.loads(text_of(one_report(content), Form.JSON))
    ((cycle,),) = [chain["cycles"] for chain in made["chains"]]
    assert cycle["activeUsers"] == content.active_users
    assert cycle["activeUsersUpperBound"] == content.active_users_upper_bound
    assert cycle["accuracy"] == content.accuracy
    days = content.daily_active_users
    assert cycle["dailyActiveUsers"] == (None if days is None else list(days))
    assert cycle["rules"]["definition"] == content.rules.definition
    assert cycle["coverage"]["observedSeconds"] == content.coverage.observed_seconds
    assert len(cycle["coverage"]["gaps"]) == len(content.coverage.gaps)


# -- hostile documents


@for_all(contents(), st.sampled_from(HOSTILE))
def test_no_text_of_a_document_becomes_markup(content, text):
    plain = page_of(one_report(content))
    hostile = replace(content, rules=replace(content.rules, definition=text))
    page = page_of(one_report(hostile))
    assert [(e.tag, e.attributes.keys()) for e in page.walk()] == [
        (e.tag, e.attributes.keys()) for e in plain.walk()
    ]
    assert " ".join(text.split()) in page.text


@for_all(texts)
def test_no_cell_is_a_formula_and_each_can_be_read_back(text):
    made = cell(text)
    assert not FORMULA.match(made)
    assert made in (text, f"'{text}")


@pytest.mark.parametrize("text", ["\t=1", "\r=1", "\n=1", "=1", "  @a", "\uff0b1"])
def test_what_begins_as_a_formula_gets_an_apostrophe(text):
    assert cell(text) == f"'{text}"


@pytest.mark.parametrize(("value", "text"), [(None, ""), (0, "0"), (12, "12"), ("a=1", "a=1")])
def test_other_cells_stay_as_they_are(value, text):
    assert cell(value) == text


def test_lines_of_the_csv_end_as_the_standard_says():
    lines = text_of(rich(year("2026")), Form.CSV).split("\r\n")
    assert lines[-1] == ""
    assert lines[0].startswith("namespace,name,product,vendor,contract")
    assert len(lines) == 1 + len(rich(year("2026")).cycles) + 1


# -- the page as a file


def test_the_page_is_one_file_that_runs_and_loads_nothing():
    page = page_of(rich())
    assert page.all("script", "link", "img", "iframe", "object", "embed", "form", "base") == []
    for element in page.walk():
        assert not any(name.startswith("on") for name in element.attributes)
        assert "style" not in element.attributes
        for name in ("src", "href", "xlink:href", "action", "background"):
            assert (element.attributes.get(name) or "#").startswith("#")
    (style,) = page.all("style")
    assert not re.search(r"url\(|@import|expression", style.text)


def test_the_policy_of_the_page_allows_its_own_style_only():
    html = text_of(rich(), Form.HTML)
    style = re.search("<style>(.*?)</style>", html, re.DOTALL)[1]
    digest = b64encode(hashlib.sha256(style.encode()).digest()).decode()
    (policy,) = re.findall('Content-Security-Policy" content="([^"]*)"', html)
    assert "default-src 'none'" in policy
    assert f"style-src 'sha256-{digest}'" in policy


def test_every_part_has_a_name_and_every_reference_leads_somewhere():
    page = page_of(rich(year("2026")))
    ids = [element.attributes["id"] for element in page.walk() if "id" in element.attributes]
    assert len(ids) == len(set(ids))
    for element in page.walk():
        for name in (element.attributes.get("aria-labelledby") or "").split():
            assert name in ids
        if (element.attributes.get("href") or "").startswith("#"):
            assert element.attributes["href"][1:] in ids
    for region in [*page.all("section"), *page.classed("scroll")]:
        assert region.attributes.keys() & {"aria-labelledby", "aria-label"}


def test_no_two_landmarks_have_one_name():
    old, new = Bookkeeper(), Bookkeeper(key=key("second"))
    for book in (old, new):
        for index in range(3):
            book.final(index, 30, 30)
    two = statement([*signed(*old.tokens), *signed(*new.tokens)], Numbered(2))
    for made in (rich(), rich(year("2026")), two):
        page = page_of(made)
        headings = {
            element.attributes["id"]: element.text
            for element in page.walk()
            if "id" in element.attributes
        }
        names = [headings[part.attributes["aria-labelledby"]] for part in page.all("section")]
        assert len(names) == len(set(names))
        assert not [e for e in page.walk() if e.attributes.get("role") == "region"]


def test_headings_go_down_by_one_level_and_there_is_one_first():
    for made in (rich(), rich(year("2026"))):
        levels = [int(e.tag[1]) for e in page_of(made).all("h1", "h2", "h3", "h4")]
        assert levels[0] == 1
        assert levels.count(1) == 1
        assert all(after - before <= 1 for before, after in pairwise(levels))


def test_tables_have_heads_with_a_scope():
    for table in page_of(rich()).all("table"):
        heads = [cell for row in table.all("thead") for cell in row.all("th")]
        assert heads
        assert all(cell.attributes.get("scope") == "col" for cell in heads)
        for row in table.all("tbody")[0].all("tr"):
            assert len(row.all("th", "td")) == len(heads)


def test_the_chart_has_a_name_and_is_told_in_words():
    (svg,) = page_of(rich()).all("svg")
    assert svg.attributes["role"] == "img"
    assert svg.all("title")[0].text == "Users active on each day of cycle 10"
    assert (
        "Not known, which is not zero: 2026-10-28, 2026-11-09, 2026-11-10."
        in svg.all("desc")[0].text
    )


def test_the_page_knows_its_language_width_both_colours_and_paper():
    html = text_of(rich(), Form.HTML)
    page = read(html)
    assert page.all("html")[0].attributes["lang"] == "en"
    names = {
        meta.attributes.get("name"): meta.attributes.get("content") for meta in page.all("meta")
    }
    assert names["viewport"] == "width=device-width, initial-scale=1"
    assert names["color-scheme"] == "light dark"
    for words in ("@page", "@media print", "prefers-color-scheme: dark", "max-width: 560px"):
        assert words in html


# -- what a reader is told


def test_a_statement_shows_what_it_replaced():
    (cycle,) = rich().cycles
    page = page_of(rich())
    (table,) = [t for t in page.all("table") if rows(t)[0][0] == "Report"]
    final, amendment = rows(table)[1:]
    assert final[0] == "11, final"
    assert final[2].startswith("at least 512, at most 519")
    assert amendment[0] == "12, amendment"
    assert amendment[2] == in_words(cycle.content)
    assert amendment[3].startswith("NewEvidence: ")
    assert amendment[3].endswith("512-519 before")


def test_earlier_cycles_are_listed_newest_first():
    (table,) = [t for t in page_of(rich()).all("table") if rows(t)[0][0] == "Cycle"]
    assert [row[0] for row in rows(table)[1:]] == [str(index) for index in range(9, -1, -1)]
    assert rows(table)[1][2:5] == ["461\u2013465", "500", "not over; at least 35 left"]


def test_a_per_seat_bill_is_named_beside_the_active_users():
    assert "a per-seat bill would have counted 100,000" in page_of(rich()).text


def test_a_running_cycle_is_marked_provisional_with_its_time():
    made = rich(Newest(finished=False))
    assert made.provisional
    assert "as of 2026-11-30 00:00 UTC and may still grow" in warned(made)
    page = page_of(made)
    assert "provisional" in [tag.text for tag in page.classed("tag")]
    assert "As of 2026-11-30 00:00 UTC" in page.text
    assert described(page)["Number to bill"] == "none yet: the cycle has not ended"
    assert not rich().provisional


def test_without_a_licence_the_statement_says_that_the_entitlement_is_not_known():
    page = page_of(rich(licensed=False))
    assert page.classed("verdict")[0].text == "entitlement not known: licence lic-1 is not here"
    assert "--license or --enrolment adds it" in described(page)["Licence"]


def test_a_quarter_shows_each_cycle_and_the_highest_and_adds_nothing():
    made = rich(year("2026"))
    page = page_of(made)
    assert page.all("h1")[0].text == "acme, 2026"
    text = page.text
    assert "The highest number is 514." in text
    assert "numbers are never added" in text
    assert len(page.classed("cycle")) == 12
    total = sum(cycle.content.active_users for cycle in made.cycles)
    assert str(total) not in text
    assert f"{total:,}" not in text


def test_chains_of_one_object_are_shown_apart_with_a_warning():
    old, new = Bookkeeper(), Bookkeeper(key=key("second"))
    reports = [*signed(old.final(0, 30, 30)), *signed(new.final(0, 40, 40))]
    made = statement(reports, Numbered(0))
    assert "has 2 chains of reports" in warned(made)
    assert "must never be added" in warned(made)
    page = page_of(made)
    assert sorted(big.text for big in page.classed("big")) == ["30", "40"]
    assert len(page.classed("chain")) == 2
    assert "70" not in [element.text for element in page.walk()]


def test_one_chosen_chain_still_mentions_the_others():
    old, new = Bookkeeper(), Bookkeeper(key=key("second"))
    reports = [*signed(old.final(0, 30, 30)), *signed(new.final(0, 40, 40))]
    made = statement(reports, Numbered(0), only=chains_of(reports)[0])
    assert len(made.sections) == 1
    assert "has 2 chains of reports" in warned(made)


def test_a_renamed_object_with_the_same_product_is_warned_of():
    other = Bookkeeper(name="renamed")
    other.final(0, 30, 30)
    made = statement(signed(Bookkeeper().final(0, 30, 30)), others=signed(*other.tokens))
    assert "collab/renamed also reports users of acme" in warned(made)
    assert "Do not add the numbers" in warned(made)


def test_an_object_of_another_contract_or_another_time_is_not_warned_of():
    contract, later = Bookkeeper(name="renamed", subscription="sub-2"), Bookkeeper(name="renamed")
    contract.final(0, 30, 30)
    later.final(1, 30, 30)
    for other in (contract, later):
        made = statement(signed(Bookkeeper().final(0, 30, 30)), others=signed(*other.tokens))
        assert made.warnings == ()


def test_a_cycle_of_which_no_report_is_here_is_named():
    book = Bookkeeper()
    tokens = [book.final(index, 9, 9) for index in range(4)]
    made = statement(signed(*tokens[:1], *tokens[3:]), year("2026"))
    assert "No report of cycle 1, 2 is here" in warned(made)


def test_a_simulated_clock_is_nothing_to_bill_from():
    book = Bookkeeper()
    book.final(0, 9, 9, operator=OperatorInfo("1.0.0-simulated-clock"))
    made = statement(signed(*book.tokens))
    assert "made with a simulated clock" in warned(made)
    assert described(page_of(made))["Number to bill"] == "none: made with a simulated clock"
    assert table_of(made)[0]["number_to_bill"] == ""


def test_what_was_verified_is_said_of_each_document():
    token = Bookkeeper().final(0, 9, 9)
    receipt = stored_receipt(VendorDesk().receipt(token))
    report = read_report(token)
    unverified = statement([SignedReport(report, "a")])
    verified = statement(
        [SignedReport(report, "a", Checked.VERIFIED, VendorAnswer(receipt, Checked.VERIFIED))]
    )
    names = described(page_of(unverified))
    assert names["Signature"] == "not verified here"
    assert names["Vendor's receipt"].startswith("none is here")
    assert "not verified here" in page_of(unverified).all("header")[0].text
    names = described(page_of(verified))
    assert names["Signature"] == "verified"
    assert names["Vendor's receipt"].startswith("Accepted, received 2026-02-10 00:00 UTC")
    assert (unverified.verified, verified.verified) == (False, True)


def test_the_commands_that_check_it_name_the_object():
    (section,) = [
        s for s in page_of(rich()).all("section") if s.all("h2")[0].text == "How to check it"
    ]
    assert "kubectl get usagereports -n collab -o json" in section.text
    assert "licenseusage statement production -n collab" in section.text


def test_the_history_as_json_keeps_chains_apart():
    chains = chains_of(signed(*RICH))
    (made,) = history_as_json((chain, chain.cycles) for chain in chains)
    assert [cycle["index"] for cycle in made["cycles"]] == list(range(12))
    assert made["contract"] == "sub-1"
    assert [report["kind"] for report in made["cycles"][10]["replaced"]] == [Kind.FINAL.value]
