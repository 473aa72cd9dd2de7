"""Bundles: the file as a whole only for manifest and keys; each line as if it had been put."""

import asyncio
import itertools
import threading

import httpx
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from licenseusage.api.usagereceipt import UsageReceipt
from licenseusage.errors import Retryable
from licenseusage.reasons import Reason
from licenseusage.receiver.requestbody import FILES_AT_A_TIME
from licenseusage.reports.keys import VendorKey, VendorKeys
from licenseusage.reports.licence import read_license
from licenseusage.reports.names import digest
from licenseusage.reports.receipt import read_receipt
from licenseusage.reports.typs import RECEIPT
from tests.receiver.people import (
    DAY,
    HOST,
    RECEIPT_KEY,
    Customer,
    FixedClock,
    Receiver,
    error_of,
    key,
    published,
)
from tests.receiver.test_vectors import (
    KEYS,
    TOKENS,
    VENDOR_KEYS,
    cases,
    context_of,
    enrolment,
)


@pytest.fixture
def stranger():
    """An installation that the vendor has never heard of."""
    return Customer()


def subjects(receipts):
    return [receipt.subject.digest for receipt in receipts]


def stored(receiver, *tokens):
    with receiver.store.read() as views:
        return [views.document(digest(token)) is not None for token in tokens]


def test_bundle_is_all_that_a_vendor_needs_to_know_an_installation(receiver, stranger):
    chain = stranger.chain(4)
    receipts = receiver.receipts(receiver.post_bundle(stranger.bundle(*chain)))
    assert subjects(receipts) == [digest(token) for token in (stranger.enrolment, *chain)]
    assert {receipt.verdict for receipt in receipts} == {"Accepted"}
    assert receipts[-1].head.sequence == 4


def test_same_file_again_gives_the_same_receipts_and_changes_nothing(receiver, stranger, clock):
    data = stranger.bundle(*stranger.chain(4))
    first = receiver.post_bundle(data)
    clock.now_s += DAY
    assert receiver.post_bundle(data).content == first.content


def test_receipts_are_those_of_the_same_documents_put_one_by_one(start, stranger):
    chain = stranger.chain(3)
    receiver = start()
    by_put = [receiver.put_key(stranger.enrolment).text]
    by_put += [receiver.put_report(token).text for token in chain]
    answer = receiver.post_bundle(stranger.bundle(*chain))
    assert answer.text.splitlines() == by_put


def test_bundle_of_a_later_export_goes_on_where_the_first_ended(receiver, stranger):
    chain = stranger.chain(4)
    receiver.post_bundle(stranger.bundle(*chain[:2]))
    receipts = receiver.receipts(receiver.post_bundle(stranger.bundle(*chain[2:])))
    assert [receipt.head.sequence for receipt in receipts] == [1, 3, 4]


def test_bundle_without_key_statements_is_verified_by_the_keys_held(receiver, customer):
    (report,) = customer.chain(1)
    receipts = receiver.receipts(receiver.post_bundle(customer.bundle(report, statements=())))
    assert subjects(receipts) == [digest(report)]


def test_bundle_that_brings_a_succession_may_be_signed_by_the_new_key(receiver, stranger):
    (old,) = stranger.chain(1)
    succession = stranger.rotate("second key")
    new = stranger.report(old, kind="final")
    data = stranger.bundle(old, new, statements=(stranger.enrolment, succession))
    receipts = receiver.receipts(receiver.post_bundle(data))
    assert [receipt.verdict for receipt in receipts] == ["Accepted"] * 4


def test_succession_alone_follows_the_enrolment_that_is_held(receiver, customer):
    succession = customer.rotate("second key")
    third = customer.rotate("third key")
    data = customer.bundle(customer.report(), statements=(succession, third))
    assert len(receiver.receipts(receiver.post_bundle(data))) == 3
    assert receiver.post_bundle(data).status_code == 200


def test_bundle_of_before_a_rotation_may_arrive_after_it(receiver, customer):
    data = customer.bundle(*customer.chain(1))
    receiver.put_key(customer.rotate("second key"))
    assert len(receiver.receipts(receiver.post_bundle(data))) == 2


def test_rejected_and_conflicting_lines_get_a_receipt_that_says_so(receiver, customer):
    first, second = customer.chain(2)
    receiver.put_report(first)
    twin = customer.report(users=41)
    wrong = customer.report(second, cycle=0, product="other")
    answer = receiver.post_bundle(customer.bundle(twin, second, wrong))
    receipts = receiver.receipts(answer)
    assert [(each.verdict, each.error) for each in receipts] == [
        ("Accepted", None),
        ("Conflict", "ReportConflict"),
        ("Accepted", None),
        ("Rejected", "LicenseMismatch"),
    ]


def test_line_that_is_not_authentic_gets_none_and_holds_up_no_other(receiver, stranger):
    first, second = stranger.chain(2)
    foreign = Customer("unknown").report()
    receipts = receiver.receipts(receiver.post_bundle(stranger.bundle(foreign, first, second)))
    assert subjects(receipts) == [digest(token) for token in (stranger.enrolment, first, second)]
    assert stored(receiver, foreign) == [False]


def test_conflict_beyond_the_quota_of_evidence_is_refused_alone(receiver, customer, monkeypatch):
    monkeypatch.setattr("licenseusage.receiver.evidence.CONFLICTS_KEPT", 0)
    first, second = customer.chain(2)
    data = customer.bundle(first, customer.report(users=41), second)
    results = receiver.post_bundle(data, "?format=json").json()["lines"]
    assert [line["result"] for line in results] == ["Accepted", "Accepted", "Refused", "Accepted"]
    assert results[2]["error"] == "TooManyConflicts"


def test_document_that_is_carried_twice_in_one_file_is_one_line_of_the_receipts(receiver, stranger):
    (report,) = stranger.chain(1)
    receipts = receiver.receipts(receiver.post_bundle(stranger.bundle(report, report)))
    assert subjects(receipts) == [digest(stranger.enrolment), digest(report)]


def test_reports_out_of_order_are_accepted_as_they_would_be_if_put(receiver, stranger):
    first, second, third = stranger.chain(3)
    receipts = receiver.receipts(receiver.post_bundle(stranger.bundle(third, first, second)))
    assert receipts[1].findings == ("ChainGap",)
    assert receipts[-1].head.sequence == 3


def test_empty_bundle_has_an_empty_answer(receiver, customer):
    answer = receiver.post_bundle(customer.bundle(statements=()))
    assert (answer.status_code, answer.text) == (200, "")


def edited(data):
    lines = data.splitlines(keepends=True)
    return "".join([*lines[:2], lines[3], lines[2], *lines[4:]])


DAMAGED = {
    "cut between lines": (lambda data: data[: data.rindex("\n", 0, -1) + 1], 400, "BundleInvalid"),
    "cut within a line": (lambda data: data[:-20], 400, "BundleInvalid"),
    "cut within the manifest": (lambda data: data[:100], 400, "BundleInvalid"),
    "lines exchanged": (edited, 400, "BundleInvalid"),
    "a character changed": (lambda data: data[:-9] + "x" + data[-8:], 400, "BundleInvalid"),
    "a line added": (lambda data: data + data.splitlines()[-1] + "\n", 400, "BundleInvalid"),
    "line ends changed": (lambda data: data.replace("\n", "\r\n"), 400, "BundleInvalid"),
    "a byte order mark": (lambda data: "\ufeff" + data, 400, "BundleInvalid"),
    "pasted twice": (lambda data: data + data, 400, "UnsupportedType"),
    "nothing": (lambda _: "", 400, "BundleInvalid"),
    "too many lines": (lambda data: data + "x\n" * 4096, 413, "TooLarge"),
    "too many characters": (lambda data: data + "x" * 2**24, 413, "TooLarge"),
    "another document": (lambda data: data.split("\n", 1)[1], 400, "BundleInvalid"),
    "another file": (lambda _: "<html></html>\n", 400, "MalformedToken"),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_damaged_file_is_refused_as_a_whole_and_nothing_is_stored(receiver, stranger, damage):
    change, status, error = DAMAGED[damage]
    chain = stranger.chain(3)
    answer = receiver.post_bundle(change(stranger.bundle(*chain)).encode())
    assert (answer.status_code, error_of(answer)) == (status, error)
    assert not any(stored(receiver, stranger.enrolment, *chain))


@given(data=st.data())
@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_one_changed_octet_is_seen(receiver, data):
    whole = Customer().bundle(*Customer().chain(2)).encode()
    place = data.draw(st.integers(0, len(whole) - 1))
    octet = data.draw(st.integers(0, 255).filter(lambda value: value != whole[place]))
    answer = receiver.post_bundle(whole[:place] + bytes([octet]) + whole[place + 1 :])
    assert answer.status_code in (400, 401, 403, 413)
    error_of(answer)


def test_file_of_an_installation_that_nobody_knows_is_refused(receiver, stranger):
    answer = receiver.post_bundle(stranger.bundle(*stranger.chain(1), statements=()))
    assert (answer.status_code, error_of(answer)) == (401, "KeyUnknown")


def test_manifest_of_another_installation_is_refused(receiver, customer):
    other = Customer("other")
    receiver.put_key(other.enrolment)
    answer = receiver.post_bundle(
        other.bundle(*customer.chain(1), statements=(), signer=key("customer"))
    )
    assert error_of(answer) == "IssuerMismatch"
    answer = receiver.post_bundle(customer.bundle(*customer.chain(1), signer=key("other")))
    assert error_of(answer) == "KeyUnknown"


@pytest.mark.parametrize(
    ("claim", "value", "error"),
    [
        ("aud", "https://other.example", "AudienceMismatch"),
        ("sub", "sub-2", "LicenseMismatch"),
        ("count", 3, "BundleInvalid"),
        ("contentDigest", "sha256:" + "0" * 64, "BundleInvalid"),
        ("iat", "today", "ClaimInvalid"),
    ],
)
def test_manifest_that_is_not_in_order_refuses_the_file(receiver, stranger, claim, value, error):
    chain = stranger.chain(1)
    answer = receiver.post_bundle(stranger.bundle(*chain, **{claim: value}))
    assert error_of(answer) == error
    assert not any(stored(receiver, *chain))


def test_key_chain_that_is_not_in_order_refuses_the_file(receiver, stranger):
    (report,) = stranger.chain(1)
    gap = stranger.succession(key("second key"), sequence=3)
    forked = stranger.succession(key("second key"), previous=digest("x"))
    for statement, error in ((gap, "ChainGap"), (forked, "ChainForked")):
        data = stranger.bundle(report, statements=(stranger.enrolment, statement))
        assert error_of(receiver.post_bundle(data)) == error
    second = stranger.rotate("second key")
    old = stranger.succession(key("third key"), signer=stranger.first)
    data = stranger.bundle(report, statements=(stranger.enrolment, second, old))
    assert error_of(receiver.post_bundle(data)) == "KeyRetired"
    twice = stranger.bundle(
        report,
        statements=(stranger.enrolment, Customer("other").enrolment),
        signer=stranger.first,
    )
    assert error_of(receiver.post_bundle(twice)) == "ChainGap"
    assert not any(stored(receiver, stranger.enrolment, report))


def test_key_chain_that_contradicts_the_one_held_is_evidence_and_no_reason_to_refuse(
    receiver, customer
):
    receiver.put_key(customer.succession(key("second key")))
    forged = customer.rotate("other second key")
    (report,) = customer.chain(1)
    data = customer.bundle(report, statements=(customer.enrolment, forged))
    receipts = receiver.receipts(receiver.post_bundle(data))
    assert [(each.verdict, each.error) for each in receipts] == [
        ("Accepted", None),
        ("Conflict", "ReportConflict"),
    ]
    assert stored(receiver, report) == [False]


def test_enrolment_is_not_judged_again_once_it_is_held(start, stranger):
    start().put_key(stranger.enrolment)
    licence_key_withdrawn = VendorKeys([VendorKey(RECEIPT_KEY.public, frozenset({RECEIPT}))])
    later = start(vendor_keys=licence_key_withdrawn)
    assert len(later.receipts(later.post_bundle(stranger.bundle(*stranger.chain(1))))) == 2
    unknown = Customer("unknown")
    answer = later.post_bundle(unknown.bundle(*unknown.chain(1)))
    assert (answer.status_code, error_of(answer)) == (401, "KeyUnknown")


def test_vendor_finds_no_way_around_the_media_type(receiver, stranger):
    for media_type in ("application/jose", "application/x-www-form-urlencoded", ""):
        answer = receiver.post("/v1/bundles", stranger.bundle(), **{"content-type": media_type})
        assert (answer.status_code, error_of(answer)) == (415, "UnsupportedMediaType")


def test_yaml_holds_the_same_receipts_for_each_namespace(receiver, stranger):
    chain = stranger.chain(3)
    data = stranger.bundle(*chain)
    lines = receiver.post_bundle(data).text.splitlines()
    answer = receiver.post_bundle(data, "?format=yaml")
    assert answer.headers["content-type"] == "application/yaml"
    (made,) = yaml.safe_load_all(answer.text)
    assert made["metadata"]["namespace"] == "apps"
    assert list(UsageReceipt.model_validate(made).spec.receipts) == lines


def test_yaml_of_key_statements_alone_says_that_there_is_no_object(receiver, stranger):
    answer = receiver.post_bundle(stranger.bundle(), "?format=yaml")
    assert list(yaml.safe_load_all(answer.text)) in ([], [None])
    assert "receipts file" in answer.text


def test_json_says_what_became_of_each_line(receiver, customer):
    (report,) = customer.chain(1)
    foreign = Customer("unknown").report()
    wrong = customer.report(report, product="other")
    answer = receiver.post_bundle(customer.bundle(foreign, report, wrong), "?format=json")
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert body["installation"] == customer.first.installation
    assert body["subscription"] == "sub-1"
    assert [
        (line["line"], line["result"], line["known"], line["error"]) for line in body["lines"]
    ] == [
        (2, "Accepted", True, None),
        (3, "Refused", False, "KeyUnknown"),
        (4, "Accepted", False, None),
        (5, "Rejected", False, "LicenseMismatch"),
    ]
    assert [line["receipt"] is None for line in body["lines"]] == [False, True, False, False]
    assert body["lines"][1]["detail"]


def test_unknown_format_is_refused_before_anything_is_stored(receiver, stranger):
    answer = receiver.post_bundle(stranger.bundle(), "?format=pdf")
    assert (answer.status_code, error_of(answer)) == (404, "NotFound")
    assert stored(receiver, stranger.enrolment) == [False]


def test_trouble_in_the_middle_is_mended_by_the_same_file(receiver, stranger, monkeypatch):
    chain = stranger.chain(3)
    data = stranger.bundle(*chain)
    taken = itertools.count()
    write = receiver.store.write

    def failing(*arguments):
        if next(taken) == 2:
            raise Retryable(Reason.DATABASE_UNAVAILABLE, "disk full")
        return write(*arguments)

    monkeypatch.setattr(receiver.store, "write", failing)
    answer = receiver.post_bundle(data)
    assert (answer.status_code, error_of(answer)) == (503, "VendorUnavailable")
    assert int(answer.headers["retry-after"]) > 0
    assert stored(receiver, stranger.enrolment, *chain) == [True, True, False, False]
    receipts = receiver.receipts(receiver.post_bundle(data))
    assert [receipt.verdict for receipt in receipts] == ["Accepted"] * 4


def test_two_carriers_at_once_store_each_document_once(start, stranger):
    receivers, data = [start(), start()], stranger.bundle(*stranger.chain(6))
    answers = {}

    def carry(number):
        answers[number] = receivers[number].post_bundle(data)

    carriers = [threading.Thread(target=carry, args=(number,)) for number in (0, 1)]
    for carrier in carriers:
        carrier.start()
    for carrier in carriers:
        carrier.join()
    assert answers[0].content == answers[1].content
    assert len(receivers[0].receipts(answers[0])) == 7


async def _endless(receiver, beginning, sent):
    """Send a body that does not end; return the answer."""

    async def body():
        yield beginning
        for _ in range(200):
            sent.append(2**20)
            yield b"a" * 2**20

    transport = httpx.ASGITransport(receiver.app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=f"https://{HOST}") as client:
        return await client.post(
            "/v1/bundles", content=body(), headers={"content-type": "text/plain"}
        )


def test_body_of_200_mib_is_not_read_beyond_its_limit(receiver, stranger):
    sent = []
    answer = asyncio.run(_endless(receiver, stranger.bundle().encode(), sent))
    assert (answer.status_code, error_of(answer)) == (413, "TooLarge")
    assert len(sent) <= 18


def test_body_that_begins_with_no_manifest_is_not_read_any_further(receiver):
    sent = []
    answer = asyncio.run(_endless(receiver, b"", sent))
    assert (answer.status_code, error_of(answer)) == (400, "BundleInvalid")
    assert len(sent) <= 2


def test_more_bundles_than_memory_is_for_are_sent_away_for_a_moment(receiver, stranger):
    data = stranger.bundle().encode()

    async def crowd():
        release, arrived = asyncio.Event(), asyncio.Semaphore(0)

        async def slow():
            arrived.release()
            yield data[:10]
            await release.wait()
            yield data[10:]

        transport = httpx.ASGITransport(receiver.app, raise_app_exceptions=False)
        headers = {"content-type": "text/plain"}
        async with httpx.AsyncClient(transport=transport, base_url=f"https://{HOST}") as client:

            async def post(body):
                return await client.post("/v1/bundles", content=body, headers=headers)

            waiting = [asyncio.create_task(post(slow())) for _ in range(FILES_AT_A_TIME)]
            for _ in waiting:
                await arrived.acquire()
            refused = await post(data)
            release.set()
            return refused, await asyncio.gather(*waiting)

    refused, answers = asyncio.run(crowd())
    assert (refused.status_code, error_of(refused)) == (503, "VendorUnavailable")
    assert {answer.status_code for answer in answers} == {200}


def state(receiver):
    """Return everything that bills and pages are made of, but times of arrival and receipts."""
    with receiver.store.read() as views:
        chains = [
            chain
            for known in views.installations(limit=9, offset=0)
            for chain in views.chains_of(known, limit=9)
        ]
        values = {
            (chain.name, value.report.cycle_index): value.report
            for chain in chains
            for value in views.cycles(chain.id, limit=99)
        }
        documents = {
            document.digest: (document.verdict, set(document.findings) - {"ReportOverdue"})
            for chain in chains
            for document, _ in views.documents(chain.id, limit=99)
        }
        return {chain.name: chain.head for chain in chains}, values, documents


CARRIED = Customer()
CHAIN = CARRIED.chain(6)
OTHERS = [CARRIED.report(name="other")]


@given(data=st.data())
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_however_files_are_carried_the_vendor_holds_the_same_in_the_end(tmp_path_factory, data):
    """Split, twice, late, in any order, with a stranger's line between: nothing counts twice."""
    folder, all_reports = tmp_path_factory.mktemp("carried"), [*CHAIN, *OTHERS]
    by_put = Receiver(f"sqlite:///{folder / 'put.sqlite'}", FixedClock())
    by_file = Receiver(f"sqlite:///{folder / 'file.sqlite'}", FixedClock())
    by_put.put_key(CARRIED.enrolment)
    for token in all_reports:
        by_put.put_report(token)
    number = data.draw(st.integers(1, 4), label="files")
    files = [
        data.draw(st.lists(st.sampled_from([*all_reports, FOREIGN]), max_size=9))
        for _ in range(number)
    ]
    files.append([token for token in all_reports if not any(token in file for file in files)])
    for file in data.draw(st.permutations([*files, files[0]]), label="order"):
        assert by_file.post_bundle(CARRIED.bundle(*file)).status_code == 200
    try:
        assert state(by_file) == state(by_put)
    finally:
        by_put.close()
        by_file.close()


FOREIGN = Customer("unknown").report()


def bundle_cases():
    return cases("bundle")


# What a receiver judges line by line, with a receipt, and no reason to refuse a file.
BY_LINE = {"bundle-repacked-with-gap", "bundle-tail-without-held-reports"}


@pytest.mark.parametrize("case", bundle_cases())
def test_bundle_vector(start, clock, case):
    context = context_of(case)
    clock.now_s = context["now"]
    receiver = start(**KEYS)
    receiver.put_key(TOKENS["enrolment"])
    if context["installationKeys"] == "all":
        receiver.put_key(TOKENS["succession"])
    receiver.put_key(enrolment("otherInstallation", read_license(TOKENS["license"], VENDOR_KEYS)))
    for name in context.get("held", ()):
        receiver.put_report(TOKENS[name])
    answer = receiver.post_bundle(TOKENS[case["input"]].encode())
    if case["expect"] == "Valid":
        receipts = receiver.receipts(answer)
        assert {receipt.verdict for receipt in receipts} <= {"Accepted"}
    elif case["name"] in BY_LINE:
        findings = {
            finding for receipt in receiver.receipts(answer) for finding in receipt.findings
        }
        assert case["expect"] in findings
    else:
        assert error_of(answer) == case["expect"]


def test_what_is_judged_by_line_is_a_vector():
    assert {case.id for case in bundle_cases()} >= BY_LINE


def test_receipt_whose_key_was_withdrawn_is_signed_again(start, stranger):
    data = stranger.bundle(*stranger.chain(1))
    first = start().post_bundle(data).text
    new = key("new receipt key")
    later = start(receipt_key=new, vendor_keys=published(new))
    again = later.post_bundle(data).text
    assert again != first
    assert all(read_receipt(line, published(new)) for line in again.splitlines())
