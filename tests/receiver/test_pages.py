"""What people see: complete, escaped, without scripts, and only for those who may see it."""

import re
from html.parser import HTMLParser

import pytest
from sqlalchemy import text

from licenseusage.receiver.problems import CLASSES
from licenseusage.receiver.store import Hold
from licenseusage.receiver.store.engines import to_write
from licenseusage.reports.content import Uncertainty
from tests.receiver.people import ANCHOR, CYCLE, DAY, Customer, chain_id, licence

VOID = {"meta", "link", "br", "img", "input", "hr"}


class Strict(HTMLParser):
    """Collects tags and text; fails on tags that are not closed in order."""

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.text = [], [], ""

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.text += data + " "


def read(answer):
    """Return a page's text; every page is well-formed and loads nothing."""
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    page = Strict()
    page.feed(answer.text)
    assert page.open == []
    names = {tag for tag, _ in page.tags}
    assert names.isdisjoint({"script", "iframe", "object", "form", "img"})
    for _, attributes in page.tags:
        assert not any(name.startswith("on") or name == "style" for name in attributes)
        for name in ("src", "href"):
            assert attributes.get(name, "/").startswith(("/", "data:,"))
    return re.sub(r"\s+", " ", page.text)


def test_a_cycle_says_why_its_number_is_not_exact(receiver, customer):
    changes = {
        "active_users_upper_bound": None,
        "accuracy": "LowerBound",
        "uncertainty": (Uncertainty("RemovedUsers", 0),),
    }
    token = customer.report(kind="final", users=41, **changes)
    receiver.put_report(token)
    for path in ("/", f"/chains/{chain_id(token)}"):
        assert "at least 41: this product forgets removed users" in read(receiver.get(path))


def test_empty_receiver_says_what_will_appear(receiver):
    answer = receiver.get("/")
    assert answer.status_code == 200
    assert "Nothing has arrived yet" in read(answer)


def test_enrolled_installation_without_reports_is_shown(receiver, customer):
    text = read(receiver.get("/"))
    assert "acme · sub-1" in text
    assert "Enrolled; no report yet." in text
    assert "500 active users" in text


def test_silent_installation_is_overdue(receiver, customer, clock):
    assert "ReportOverdue" not in read(receiver.get("/"))
    clock.now_s += 3 * DAY
    assert "ReportOverdue" in read(receiver.get("/"))


def test_cycles_are_listed_with_their_counts(receiver, customer):
    for token in customer.chain(4)[:3]:
        receiver.put_report(token)
    text = read(receiver.get("/"))
    assert "apps/meter in order" in text
    assert "0 2026-01-01 2026-01-31 41" in text
    assert "1 2026-01-31 2026-03-02 42 so far" in text


def test_amended_value_replaces_the_final(receiver, customer):
    final = customer.report(kind="final", users=40)
    restated = customer.amendment(final, final, users=38, reason="Restated")
    for token in (final, restated):
        receiver.put_report(token)
    text = read(receiver.get("/"))
    assert "2026-01-31 38" in text
    assert "Amended" in text
    assert "Restated" in text


def test_overage_is_marked(receiver, customer):
    receiver.put_report(customer.report(kind="final", users=501))
    assert "501 over" in read(receiver.get("/"))


def test_gap_is_shown_with_the_missing_positions(receiver, customer):
    tokens = customer.chain(4)
    receiver.put_report(tokens[0])
    receiver.put_report(tokens[3])
    assert "2 missing" in read(receiver.get("/"))
    text = read(receiver.get(f"/chains/{chain_id(tokens[0])}"))
    assert "Missing 2–3" in text  # noqa: RUF001 - a range is written with an en dash
    assert "Head report 1" in text
    assert "ChainGap" in text


def test_conflict_and_rejection_are_shown_with_their_class(receiver, customer):
    final = customer.report(kind="final", users=40)
    for token in (
        final,
        customer.report(kind="final", users=39),
        customer.report(final, kind="interim"),
    ):
        receiver.put_report(token)
    text = read(receiver.get(f"/chains/{chain_id(final)}"))
    assert "Conflict ReportConflict" in text
    assert "Rejected CycleOrder" in text
    assert "Conflicts kept as evidence 1" in text
    assert "conflict" in read(receiver.get("/"))


def test_overdue_chain_is_shown(receiver, customer, clock):
    receiver.put_report(customer.report())
    clock.now_s += 3 * DAY
    assert "overdue" in read(receiver.get("/"))


def test_optional_interims_are_overdue_only_after_a_cycle(receiver, clock):
    clock.now_s = ANCHOR + CYCLE
    customer = Customer(license=licence(interim="Optional"))
    receiver.put_key(customer.enrolment)
    receiver.put_report(customer.report(kind="final"))
    clock.now_s = ANCHOR + 2 * CYCLE + 3 * DAY - 1
    assert "overdue" not in read(receiver.get("/"))
    clock.now_s += 1
    assert "overdue" in read(receiver.get("/"))


def test_several_installations_of_a_subscription_are_pointed_out(receiver, customer):
    receiver.put_key(Customer("other").enrolment)
    assert read(receiver.get("/")).count("one of 2 of this subscription") == 2


def test_two_objects_that_report_one_cycle_are_not_to_be_added(receiver, customer):
    """A renamed or moved object, or a second installation: the page says how to tell."""
    first, second = (
        customer.report(kind="final", name="meter", users=40),
        customer.report(kind="final", name="renamed", users=25),
    )
    receiver.put_report(first)
    assert "Do not add" not in read(receiver.get("/"))
    receiver.put_report(second)
    for path, other in (
        ("/", "apps/renamed"),
        ("/", "apps/meter"),
        (f"/chains/{chain_id(first)}", "apps/renamed"),
        (f"/chains/{chain_id(second)}", "apps/meter"),
    ):
        text = read(receiver.get(path))
        assert f"Do not add: {other} reported this cycle, too" in text
        assert text.count("Several objects report one cycle of the same product") == 1
        assert "two installations of the product" in text


def test_another_installation_of_the_subscription_is_pointed_out_in_each_of_its_cycles(
    receiver, customer
):
    other = Customer("other")
    receiver.put_key(other.enrolment)
    receiver.put_report(customer.report(kind="final"))
    receiver.put_report(other.report(kind="final"))
    assert read(receiver.get("/")).count("Do not add: apps/meter reported this cycle, too") == 2


@pytest.mark.parametrize("other", ["cycle", "subscription"])
def test_other_cycles_and_other_subscriptions_are_compared_with_nothing(receiver, customer, other):
    receiver.put_report(customer.report(kind="final"))
    if other == "cycle":
        receiver.put_report(customer.report(kind="final", cycle=1, name="renamed"))
    else:
        elsewhere = Customer("other", license=licence(subscription="sub-2"))
        receiver.put_key(elsewhere.enrolment)
        receiver.put_report(elsewhere.report(kind="final"))
    assert "Do not add" not in read(receiver.get("/"))


def test_of_many_objects_three_are_named(receiver, customer):
    tokens = [customer.report(kind="final", name=f"m{number}") for number in range(5)]
    for token in tokens:
        receiver.put_report(token)
    text = read(receiver.get(f"/chains/{chain_id(tokens[0])}"))
    assert "Do not add: apps/m1 , apps/m2 , apps/m3 and 1 more reported this cycle, too" in text


def test_many_installations_are_paged(receiver, clock, monkeypatch):
    monkeypatch.setattr("licenseusage.receiver.pageviews.INSTALLATIONS_PER_PAGE", 2)
    for number in range(3):
        clock.now_s += 1
        license_ = licence(subscription=f"sub-{number}")
        receiver.put_key(Customer(f"c{number}", license=license_).enrolment)
    first, second = read(receiver.get("/")), read(receiver.get("/?page=2"))
    assert "sub-2" in first
    assert "sub-1" in first
    assert "Older" in first
    assert "sub-0" in second
    assert "Older" not in second


def test_many_reports_are_paged(receiver, customer, monkeypatch):
    monkeypatch.setattr("licenseusage.receiver.pageviews.DOCUMENTS_PER_PAGE", 2)
    tokens = customer.chain(4)
    for token in tokens:
        receiver.put_report(token)
    answer = receiver.get(f"/chains/{chain_id(tokens[0])}")
    assert f'href="/chains/{chain_id(tokens[0])}?before=3"' in answer.text
    assert "Older reports" not in read(receiver.get(f"/chains/{chain_id(tokens[0])}?before=3"))


@pytest.mark.parametrize(
    ("reasons", "text"),
    [((), "none seen so far"), ((Uncertainty("UnprovedCounts", 0),), "unknown so far")],
)
def test_nobody_is_said_to_be_unseen_by_a_product_that_names_nobody(
    receiver, customer, reasons, text
):
    unknown = {"active_users": None, "active_users_upper_bound": None, "accuracy": "Unknown"}
    token = customer.report(uncertainty=reasons, **unknown)
    receiver.put_report(token)
    for page in ("/", f"/chains/{chain_id(token)}"):
        shown = read(receiver.get(page))
        assert text in shown
        assert ("none seen" in shown) is (text == "none seen so far")


def test_evidence_stays_beside_the_report_it_contradicts(receiver, customer, monkeypatch):
    monkeypatch.setattr("licenseusage.receiver.pageviews.DOCUMENTS_PER_PAGE", 2)
    tokens = customer.chain(2)
    for token in (*tokens, customer.report(users=1), customer.report(users=2)):
        receiver.put_report(token)
    page = f"/chains/{chain_id(tokens[0])}"
    assert f'href="{page}?before=2"' in receiver.get(page).text
    text = read(receiver.get(f"{page}?before=2"))
    assert "1 interim 0 40 so far" in text
    assert text.count("Conflict ReportConflict") == 1  # one more than a page shows is left out


@pytest.mark.parametrize("address", ["/?page=x", "/?page=-1", "/?page=99999999999999", "/?page=0"])
def test_page_numbers_that_make_no_sense_are_harmless(receiver, customer, address):
    assert receiver.get(address).status_code == 200


@pytest.mark.parametrize("chain", ["0" * 32, "x", "%00", "a" * 5000])
def test_unknown_chain_is_a_404_page(receiver, chain):
    answer = receiver.get(f"/chains/{chain}")
    assert answer.status_code == 404
    assert "No such chain" in read(answer)


def test_key_chain_has_no_page(receiver, customer):
    assert receiver.get(f"/chains/{customer.key_chain}").status_code == 404


def test_hostile_content_is_escaped(receiver, customer):
    """Nothing that the format lets through needs escaping; it is escaped all the same."""
    receiver.put_report(customer.report())
    evil = "<script>alert(1)</script>\"'&{{7*7}}"
    with receiver.store._engine.connect() as connection, to_write(connection, Hold()).begin():
        connection.execute(text("UPDATE installations SET product = :evil"), {"evil": evil})
        connection.execute(
            text("UPDATE chains SET name = :evil WHERE name IS NOT NULL"), {"evil": evil}
        )
        connection.execute(text("UPDATE documents SET error = :evil"), {"evil": evil})
    for address in ("/", f"/chains/{chain_id(customer.report())}"):
        answer = receiver.get(address)
        assert "<script" not in answer.text
        assert evil in read(answer)


def test_no_page_shows_a_token_or_a_receipt(receiver, customer):
    token = customer.report()
    receipt = receiver.put_report(token).text
    for address in ("/", f"/chains/{chain_id(token)}", "/docs"):
        text = receiver.get(address).text
        assert token.split(".")[1] not in text
        assert receipt.split(".")[1] not in text


# --- the API's reference ------------------------------------------------------------------------


def test_reference_shows_every_operation_and_status(receiver):
    text = read(receiver.get("/docs"))
    unquoted = re.sub(r" (?=[,.;:])", "", text)
    assert "Validation" not in text
    document = receiver.get("/openapi.json").json()
    for path, operations in document["paths"].items():
        assert path in text
        for operation in operations.values():
            assert operation["summary"] in text
            for status, answer in operation["responses"].items():
                assert status in text
                assert answer["description"].replace("`", "") in unquoted


def test_openapi_documents_every_answer_with_its_body_and_headers(receiver):
    document = receiver.get("/openapi.json").json()
    put = document["paths"]["/v1/reports/{jti}"]["put"]
    assert set(put["responses"]) == {
        "200", "201", "400", "401", "403", "408", "409", "413", "415", "422", "429", "503",
    }  # fmt: skip
    assert "application/jose" in put["responses"]["201"]["content"]
    assert "Retry-After" in put["responses"]["503"]["headers"]
    reference = put["responses"]["422"]["content"]["application/problem+json"]["schema"]["$ref"]
    signed = document["components"]["schemas"][reference.rsplit("/", 1)[1]]
    assert "receipt" in signed["required"]
    keys = document["paths"]["/v1/keys/{jti}"]["put"]
    assert "422" not in keys["responses"]


@pytest.mark.parametrize("error", CLASSES)
def test_every_class_has_its_page(receiver, error):
    answer = receiver.get(f"/v1/problems/{error}")
    assert answer.status_code == 200
    assert error in read(answer)


def test_answers_are_not_cached_or_sniffed(receiver, customer):
    answers = [
        receiver.put_report(customer.report()),
        receiver.put_key(Customer("other").report()),
        receiver.get("/"),
        receiver.get("/nothing"),
        receiver.get("/openapi.json"),
    ]
    for answer in answers:
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "'none'" in answer.headers["content-security-policy"]
