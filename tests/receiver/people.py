"""A vendor, its customers, and a receiver that they talk to through its real ASGI application."""

import asyncio
import hashlib
import json
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any
from urllib.parse import quote

import httpx
from sqlalchemy import create_engine, text

from licenseusage.receiver.access import PagesAccess
from licenseusage.receiver.app import create_app
from licenseusage.receiver.store import DatabaseAddress, ReceiverDatabase
from licenseusage.reports.content import (
    Content,
    Kind,
    OperatorInfo,
    ReportClock,
    ReportCoverage,
    ReportCycle,
    ReportRules,
    Supersedes,
)
from licenseusage.reports.enrolment import build_enrolment
from licenseusage.reports.keys import SigningKey, VendorKey, VendorKeys
from licenseusage.reports.licence import License, LicenseTerms, build_license, read_license
from licenseusage.reports.names import Link, digest, jti_of, key_chain_id
from licenseusage.reports.receipt import Receipt, Sent, read_receipt, verify_receipt
from licenseusage.reports.report import ReportInput, build_report
from licenseusage.reports.terms import CycleTerms
from licenseusage.reports.tokens import decode, sign
from licenseusage.reports.typs import BUNDLE, LICENSE, RECEIPT, SUCCESSION

DAY = 86400
ANCHOR = 1767225600  # 2026-01-01T00:00:00Z
CYCLE = 30 * DAY


def key(label: str) -> SigningKey:
    return SigningKey.from_seed(hashlib.sha256(label.encode()).digest())


LICENCE_KEY, RECEIPT_KEY = key("licence"), key("receipt")


def published(*receipt_keys: SigningKey) -> VendorKeys:
    """What the vendor's JWKS says."""
    return VendorKeys(
        [
            VendorKey(LICENCE_KEY.public, frozenset({LICENSE})),
            *(VendorKey(each.public, frozenset({RECEIPT})) for each in receipt_keys),
        ]
    )


VENDOR_KEYS = published(RECEIPT_KEY)
HOST = "usage.vendor.example"
OPEN = PagesAccess(open_pages=True, hosts=frozenset({HOST}))

TERMS = LicenseTerms(
    vendor="https://vendor.example",
    subscription="sub-1",
    license_id="lic-1",
    issued_at_s=ANCHOR - DAY,
    not_before_s=ANCHOR - DAY,
    expires_s=ANCHOR + 400 * DAY,
    product="acme",
    cycle=CycleTerms(date(2026, 1, 1), length_days=30),
    interval_hours=24,
    reporting_required=True,
    maximum_active_users=500,
    endpoint="https://usage.vendor.example",
)


def licence(**changes: Any) -> License:
    token = build_license(replace(TERMS, **changes), LICENCE_KEY)
    return read_license(token, VENDOR_KEYS)


@dataclass
class FixedClock:
    now_s: int = ANCHOR + 70 * DAY

    def now_ms(self) -> int:
        return 1000 * self.now_s


class Receiver:
    """The application over a database, as one process would run it."""

    def __init__(self, url: str | DatabaseAddress, clock: FixedClock, **changes: Any) -> None:
        self.store = ReceiverDatabase.open(url)
        self.vendor_keys: VendorKeys = changes.get("vendor_keys", VENDOR_KEYS)
        self.app = create_app(
            store=self.store,
            vendor_keys=self.vendor_keys,
            receipt_key=changes.get("receipt_key", RECEIPT_KEY),
            clock=clock,
            access=changes.get("access", OPEN),
        )

    def request(self, method: str, url: str, **more: Any) -> httpx.Response:
        """Send one request to the application, as a server would."""

        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
            base_url = f"https://{HOST}"
            async with httpx.AsyncClient(transport=transport, base_url=base_url) as client:
                return await client.request(method, url, **more)

        return asyncio.run(send())

    def get(self, url: str, **headers: str) -> httpx.Response:
        return self.request("GET", url, headers=headers)

    def put(self, what: str, jti: str, body: Any, **headers: str) -> httpx.Response:
        sent = {"content-type": "application/jose", **headers}
        return self.request("PUT", f"/v1/{what}/{jti}", content=body, headers=sent)

    def put_key(self, token: str) -> httpx.Response:
        return self.put("keys", jti(token), token)

    def put_license(self, license_: License | str) -> httpx.Response:
        token = license_ if isinstance(license_, str) else license_.token
        return self.put("licenses", quote(jti(token), safe=""), token)

    def put_report(self, token: str) -> httpx.Response:
        return self.put("reports", jti(token), token)

    def post(self, path: str, body: Any, **headers: str) -> httpx.Response:
        sent = {"content-type": "text/plain; charset=us-ascii", **headers}
        return self.request("POST", path, content=body, headers=sent)

    def post_bundle(self, data: str | bytes, query: str = "") -> httpx.Response:
        return self.post(f"/v1/bundles{query}", data)

    def receipts(self, response: httpx.Response) -> list[Receipt]:
        """Return the receipts of an answered bundle; each verifies."""
        assert response.status_code == 200, response.text
        assert response.headers["content-type"] == "text/plain; charset=us-ascii"
        return [read_receipt(line, self.vendor_keys) for line in response.text.splitlines()]

    def receipt(self, token: str, response: httpx.Response) -> Receipt:
        """Verify the receipt in an answer as the sender of ``token`` would."""
        if response.headers["content-type"].startswith("application/jose"):
            return verify_receipt(response.text, self.vendor_keys, Sent.from_token(token))
        return verify_receipt(response.json()["receipt"], self.vendor_keys, Sent.from_token(token))

    def report(self, token: str) -> Receipt:
        """Put a report; return its verified receipt."""
        return self.receipt(token, self.put_report(token))

    def held_findings(self, chain_id: str) -> set[str]:
        with self.store.read() as views:
            documents = views.documents(chain_id, limit=1000)
        return {finding for document, _ in documents for finding in document.findings}

    def close(self) -> None:
        self.store.close()


def jti(token: str) -> str:
    """The id that a document claims; one that fits the address where it claims none."""
    try:
        _, claims = decode(token)
        claimed = claims.get("jti")
    except Exception:
        claimed = None
    return claimed if isinstance(claimed, str) and claimed else jti_of("0" * 32, 1)


@dataclass
class Customer:
    """An installation: one key, one licence, and chains of reports that it continues."""

    label: str = "customer"
    license: License = field(default_factory=licence)
    signer: SigningKey = field(init=False)
    first: SigningKey = field(init=False)
    last_statement: Link = field(init=False)
    enrolment: str = field(init=False)

    def __post_init__(self) -> None:
        self.first = self.signer = key(self.label)
        self.enrolment = build_enrolment(self.license, self.first, issued_at_s=ANCHOR)
        self.last_statement = Link(1, digest(self.enrolment))

    @property
    def key_chain(self) -> str:
        return key_chain_id(
            vendor=self.license.vendor,
            installation=self.first.installation,
            subscription=self.license.subscription,
        )

    def succession(self, new: SigningKey, **changes: Any) -> str:
        """Sign a succession; ``rotate`` uses the new key from then on."""
        sequence = changes.pop("sequence", self.last_statement.sequence + 1)
        signer = changes.pop("signer", self.signer)
        claims = {
            "ver": 1,
            "iss": self.first.installation,
            "sub": self.license.subscription,
            "aud": self.license.vendor,
            "jti": jti_of(self.key_chain, sequence),
            "iat": ANCHOR + DAY,
            "chain": {
                "id": self.key_chain,
                "sequence": sequence,
                "previous": changes.pop("previous", self.last_statement.digest),
            },
            "cnf": {"jwk": new.public.jwk},
            "reason": "Scheduled",
        }
        return sign(SUCCESSION, claims | changes, signer)

    def rotate(self, label: str) -> str:
        new = key(label)
        token = self.succession(new)
        self.signer = new
        self.last_statement = Link(self.last_statement.sequence + 1, digest(token))
        return token

    def report(
        self,
        previous: str | None = None,
        *,
        kind: str = "interim",
        cycle: int = 0,
        users: int = 40,
        name: str = "meter",
        **changes: Any,
    ) -> str:
        """Sign a report after ``previous``; an interim speaks of the middle of its cycle."""
        signer = changes.pop("signer", self.signer)
        issued_at_s = changes.pop("issued_at_s", None)
        start = ANCHOR + cycle * CYCLE
        as_of = start + CYCLE // 2 if kind == "interim" else start + CYCLE
        content = Content(
            kind=Kind(kind),
            product="acme",
            license_id=self.license.license_id,
            cycle=ReportCycle(cycle, start, start + CYCLE, as_of),
            active_users=users,
            active_users_upper_bound=users,
            accuracy="Exact",
            coverage=ReportCoverage(observed_seconds=as_of - start),
            rules=ReportRules("signed in", "sha256:" + "0" * 64),
            clock=ReportClock(high_water_s=as_of),
            operator=OperatorInfo("1.0.0"),
        )
        return build_report(
            ReportInput(
                installation=self.first.installation,
                vendor=self.license.vendor,
                subscription=self.license.subscription,
                namespace="apps",
                name=name,
                issued_at_s=as_of if issued_at_s is None else issued_at_s,
                content=replace(content, **changes),
                previous=None if previous is None else Link(_sequence(previous), digest(previous)),
            ),
            signer,
        )

    def bundle(
        self, *reports: str, statements: tuple[str, ...] | None = None, **changes: Any
    ) -> str:
        """Pack reports, with the enrolment or the key statements given; claims can be changed."""
        signer = changes.pop("signer", self.signer)
        lines = [*((self.enrolment,) if statements is None else statements), *reports]
        content = "".join(f"{line}\n" for line in lines)
        claims = {
            "ver": 1,
            "iss": self.first.installation,
            "sub": self.license.subscription,
            "aud": self.license.vendor,
            "iat": ANCHOR + 70 * DAY,
            "count": len(lines),
            "contentDigest": digest(content),
        }
        return f"{sign(BUNDLE, claims | changes, signer)}\n{content}"

    def amendment(self, previous: str, amended: str, *, reason: str = "NewEvidence", **more: Any):
        link = Link(_sequence(amended), digest(amended))
        return self.report(previous, kind="amendment", supersedes=Supersedes(link, reason), **more)

    def chain(self, length: int) -> list[str]:
        """Return a chain in order: per cycle an interim and a final."""
        tokens: list[str] = []
        for number in range(length):
            kind = "final" if number % 2 else "interim"
            before = tokens[-1] if tokens else None
            tokens.append(self.report(before, kind=kind, cycle=number // 2, users=40 + number))
        return tokens


def chain_id(token: str) -> str:
    return decode(token)[1]["chain"]["id"]  # type: ignore[index, no-any-return]


def _sequence(token: str) -> int:
    return decode(token)[1]["chain"]["sequence"]  # type: ignore[index, no-any-return]


def error_of(response: httpx.Response) -> str:
    assert response.headers["content-type"] == "application/problem+json"
    problem = json.loads(response.text)
    assert problem["status"] == response.status_code
    assert problem["type"].endswith(f"/v1/problems/{problem['error']}")
    assert problem["title"]
    assert problem["detail"]
    return problem["error"]


def unavailable(answer: httpx.Response) -> bool:
    assert (answer.status_code, error_of(answer)) == (503, "VendorUnavailable")
    assert int(answer.headers["retry-after"]) > 0
    return True


def run_sql(url: str, *statements: str) -> list[Any]:
    """Run statements on a database, as somebody would who looks into it; return the last's rows."""
    engine = create_engine(url)
    with engine.begin() as connection:
        results = [connection.execute(text(statement)) for statement in statements]
        rows = results[-1].all() if results[-1].returns_rows else []
    engine.dispose()
    return list(rows)
