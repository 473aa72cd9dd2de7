"""The upload page: what was in a file, per document, and the receipts to take back."""

import asyncio
import re

import httpx
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from licenseusage.api.usagereceipt import UsageReceipt
from licenseusage.errors import Retryable
from licenseusage.reasons import Reason
from licenseusage.receiver.access import PagesAccess
from licenseusage.receiver.multipart import file_in
from licenseusage.receiver.requestbody import RequestRefused
from licenseusage.reports.names import digest
from tests.receiver.people import HOST, OPEN, Customer
from tests.receiver.test_access import ASKING, PASSWORD, basic
from tests.receiver.test_pages import Strict

BOUNDARY = "----WebKitFormBoundaryAbCdEf"
FORM = f"multipart/form-data; boundary={BOUNDARY}"


def form(content, field="bundle", filename="x.usage-bundle"):
    """A form as Chromium sends it."""
    if isinstance(content, str):
        content = content.encode()
    head = (
        f"--{BOUNDARY}\r\n"
        f'Content-Disposition: form-data; name="{field}"; filename="{filename}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    return head.encode() + content + f"\r\n--{BOUNDARY}--\r\n".encode()


def upload(receiver, content, **headers):
    sent = {"content-type": FORM, **headers}
    return receiver.request("POST", "/bundles", content=form(content), headers=sent)


def read(answer):
    """Return a page's text; it is well-formed, without script, and its forms go to us only."""
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "form-action 'self'" in policy
    assert "unsafe" not in policy
    assert answer.headers["referrer-policy"] == "same-origin"
    page = Strict()
    page.feed(answer.text)
    assert page.open == []
    assert {tag for tag, _ in page.tags}.isdisjoint({"script", "iframe", "object", "img"})
    for tag, attributes in page.tags:
        assert not any(name.startswith("on") or name == "style" for name in attributes)
        for name in ("src", "href", "action"):
            assert attributes.get(name, "/").startswith(("/", "data:,")), tag
    return re.sub(r"\s+", " ", page.text)


def download(receiver, page, kind="text", **headers):
    """Press one of the buttons."""
    (listed,) = re.findall(r'name="documents" value="([^"]*)"', page.text)
    return receiver.request(
        "POST",
        "/bundles/receipts",
        content=f"documents={listed.replace(',', '%2C')}&format={kind}",
        headers={"content-type": "application/x-www-form-urlencoded", **headers},
    )


@pytest.fixture
def stranger():
    return Customer()


def test_page_has_a_field_to_choose_or_drop_a_file(receiver):
    answer = receiver.get("/bundles")
    assert "drop it" in read(answer)
    assert '<input id="bundle" type="file" name="bundle" required>' in answer.text


def test_the_other_pages_lead_to_it(receiver):
    assert 'href="/bundles"' in receiver.get("/").text


def test_page_says_what_was_in_the_file(receiver, stranger):
    text = read(upload(receiver, stranger.bundle(*stranger.chain(2))))
    assert "3 accepted" in text
    assert "acme · sub-1" in text
    assert "Enrolment" in text
    assert "3 accepted Interim 1 of apps/meter 0: 2026-01-01 to 2026-01-31 40" in text
    assert "4 accepted Final 2 of apps/meter 0: 2026-01-01 to 2026-01-31 41" in text
    assert "Look at these" not in text


def test_second_time_everything_is_known(receiver, stranger):
    data = stranger.bundle(*stranger.chain(2))
    upload(receiver, data)
    text = read(upload(receiver, data))
    assert "3 already known" in text
    assert "accepted" not in text.split("All documents")[1]


def test_each_document_that_was_not_accepted_says_why(receiver, customer):
    first, second = customer.chain(2)
    receiver.put_report(first)
    twin = customer.report(users=41)
    wrong = customer.report(second, product="other")
    foreign = Customer("unknown").report()
    data = customer.bundle(foreign, twin, second, wrong)
    text = read(upload(receiver, data))
    assert "1 accepted 1 already known 1 rejected 1 conflict 1 refused" in text
    wrong_ones = text.split("All documents")[0].split("Look at these")[1]
    assert "Line 3: Report refused KeyUnknown The key that signed" in wrong_ones
    assert "export again" in wrong_ones
    assert "Line 4: Report 1 of apps/meter conflict ReportConflict Two" in wrong_ones
    assert "Line 6: Report 3 of apps/meter rejected LicenseMismatch The" in wrong_ones
    assert "Final 2" not in wrong_ones


def test_findings_are_shown_with_their_document(receiver, customer):
    text = read(upload(receiver, customer.bundle(customer.chain(2)[1])))
    assert "ChainGap" in text


def test_receipts_are_those_that_the_protocol_answers(receiver, stranger):
    data = stranger.bundle(*stranger.chain(3))
    page = upload(receiver, data)
    answer = download(receiver, page)
    assert answer.content == receiver.post_bundle(data).content
    assert re.fullmatch(
        r'attachment; filename="receipts-2026-\d\d-\d\d\.txt"',
        answer.headers["content-disposition"],
    )
    assert answer.headers["content-type"] == "text/plain; charset=us-ascii"


def test_yaml_is_that_of_the_protocol(receiver, stranger):
    data = stranger.bundle(*stranger.chain(3))
    answer = download(receiver, upload(receiver, data), "yaml")
    assert answer.content == receiver.post_bundle(data, "?format=yaml").content
    assert answer.headers["content-disposition"].endswith('.yaml"')
    (made,) = yaml.safe_load_all(answer.text)
    assert len(UsageReceipt.model_validate(made).spec.receipts) == 4


def test_file_without_documents_offers_no_download(receiver, customer):
    page = upload(receiver, customer.bundle(statements=()))
    assert "the file holds no document" in read(page)
    assert "Download" not in page.text


@pytest.mark.parametrize(
    "content",
    ["documents=x&format=text", "documents=&format=yaml", "", "format=" + "a" * 90, "%ff=%fe",
     f"documents={'0' * 64}&format=text", "documents=%27+or+1%3D1&format=text"],
)  # fmt: skip
def test_receipts_of_what_is_not_held_are_none(receiver, content):
    answer = receiver.request(
        "POST",
        "/bundles/receipts",
        content=content,
        headers={"content-type": "application/x-www-form-urlencoded"},
    )
    assert answer.status_code == 200
    assert [line for line in answer.text.splitlines() if not line.startswith("#")] == []


def test_endless_list_of_receipts_is_refused(receiver):
    answer = receiver.request("POST", "/bundles/receipts", content=b"documents=" + b"a" * 400_000)
    assert answer.status_code == 413
    assert "TooLarge" in read(answer)


@pytest.mark.parametrize(
    ("change", "status", "error"),
    [
        (lambda data: data[:-9], 400, "BundleInvalid"),
        (lambda data: data.replace("\n", "\r\n"), 400, "BundleInvalid"),
        (lambda data: "PK\x03\x04\u20ac" + data, 400, "BundleInvalid"),
        (lambda _: "", 400, "BundleInvalid"),
        (lambda data: data + "x" * 2**24, 413, "TooLarge"),
    ],
)
def test_file_that_is_not_in_order_is_refused_with_its_fix(
    receiver, stranger, change, status, error
):
    answer = upload(receiver, change(stranger.bundle(*stranger.chain(1))))
    assert answer.status_code == status
    text = read(answer)
    assert f"The file was not taken {error}" in text
    if error == "BundleInvalid":
        assert "Make the bundle again, and send it as it is. Nothing of the file is stored" in text
    assert "Nothing has arrived yet" in receiver.get("/").text


def test_file_of_another_vendor_is_refused(receiver, stranger):
    answer = upload(receiver, stranger.bundle(aud="https://other.example"))
    assert answer.status_code == 403
    assert "AudienceMismatch" in read(answer)


def test_form_without_a_file_is_refused(receiver):
    for body, content_type in (
        (form("x", field="other"), FORM),
        (b"bundle=x", "application/x-www-form-urlencoded"),
        (form("x"), "multipart/form-data"),
        (form("x"), "multipart/form-data; boundary=other"),
        (b"", FORM),
    ):
        answer = receiver.request(
            "POST", "/bundles", content=body, headers={"content-type": content_type}
        )
        assert answer.status_code == 415
        assert "choose it on this page" in read(answer)


def test_trouble_says_that_the_same_file_mends_it(receiver, stranger, monkeypatch):
    def failing(*_):
        raise Retryable(Reason.DATABASE_UNAVAILABLE, "secret: disk full")

    monkeypatch.setattr(receiver.store, "write", failing)
    answer = upload(receiver, stranger.bundle(*stranger.chain(1)))
    assert answer.status_code == 503
    assert "Send the same file again" in read(answer)
    assert "secret" not in answer.text


def test_body_of_100_mb_is_read_to_its_end_and_refused_with_a_page(receiver):
    sent = []

    async def body():
        yield form("")[:200]
        for _ in range(100):
            sent.append(2**20)
            yield b"a" * 2**20

    async def send():
        transport = httpx.ASGITransport(receiver.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url=f"https://{HOST}") as client:
            return await client.post("/bundles", content=body(), headers={"content-type": FORM})

    answer = asyncio.run(send())
    assert answer.status_code == 413
    assert "TooLarge" in read(answer)
    assert len(sent) == 100


def test_declared_10_gb_are_not_read(receiver):
    answer = receiver.request(
        "POST", "/bundles", content=b"x", headers={"content-type": FORM, "content-length": "1" * 11}
    )
    assert answer.status_code == 413


def test_no_page_shows_a_token_or_a_receipt(receiver, stranger):
    page = upload(receiver, stranger.bundle(*stranger.chain(2)))
    assert "eyJ" not in page.text


def test_hostile_names_are_escaped(receiver, stranger):
    text = upload(receiver, "<script>alert(1)</script>\n")
    assert "<script" not in text.text


# Who may: as the other pages, and forms of this receiver only.


@pytest.mark.parametrize("path", ["/bundles", "/bundles/receipts"])
def test_files_are_taken_from_those_who_know_the_password(start, stranger, path):
    receiver = start(access=ASKING)
    data = stranger.bundle()
    answer = receiver.request("POST", path, content=form(data), headers={"content-type": FORM})
    assert answer.status_code == 401
    with receiver.store.read() as views:
        assert views.document(digest(stranger.enrolment)) is None


def test_page_asks_for_the_password(start):
    assert start(access=ASKING).get("/bundles").status_code == 401
    assert start(access=PagesAccess(hosts=OPEN.hosts)).get("/bundles").status_code == 403


def test_foreign_host_is_refused(start, stranger):
    receiver = start(access=ASKING)
    answer = upload(
        receiver, stranger.bundle(), host="rebound.example", authorization=basic(PASSWORD)
    )
    assert answer.status_code == 421


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"sec-fetch-site": "same-origin"}, 200),
        ({"sec-fetch-site": "none"}, 200),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"sec-fetch-site": ""}, 403),
        ({"sec-fetch-site": "cross-site", "origin": f"https://{HOST}"}, 403),
        ({"sec-fetch-site": "same-origin", "origin": "null"}, 200),
        ({"origin": f"https://{HOST}"}, 200),
        ({"origin": f"HTTPS://{HOST.upper()}"}, 200),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": f"https://{HOST}.evil.example"}, 403),
        ({"origin": f"https://{HOST}:444"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": ""}, 403),
        ({}, 200),
    ],
)
def test_form_of_another_site_is_refused_although_the_browser_adds_the_password(
    start, stranger, headers, status
):
    receiver = start(access=ASKING)
    answer = upload(receiver, stranger.bundle(), authorization=basic(PASSWORD), **headers)
    assert answer.status_code == status
    with receiver.store.read() as views:
        assert (views.document(digest(stranger.enrolment)) is not None) == (status == 200)
    if status == 200:
        sent = {"authorization": basic(PASSWORD)}
        assert download(receiver, answer, **sent, **headers).status_code == 200
        evil = {"sec-fetch-site": "cross-site"}
        assert download(receiver, answer, **sent, **evil).status_code == 403


@given(content=st.binary(max_size=300), filename=st.from_regex(r"[^\r\n\"]{0,40}", fullmatch=True))
def test_file_leaves_a_form_octet_by_octet(content, filename):
    if BOUNDARY.encode() in content:
        return
    assert file_in(FORM, form(content, filename=filename), "bundle") == content


@given(body=st.binary(max_size=300), boundary=st.text(max_size=20))
def test_anything_else_is_no_form_and_nothing_worse(body, boundary):
    with pytest.raises(RequestRefused):
        file_in(f"multipart/form-data; boundary={boundary}", body, "bundle")
