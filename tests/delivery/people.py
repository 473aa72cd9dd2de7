"""A customer and a vendor with fixed keys, who exchange real documents."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

from licenseusage.reports.content import (
    Content,
    Kind,
    OperatorInfo,
    ReportClock,
    ReportCoverage,
    ReportCycle,
    ReportRules,
)
from licenseusage.reports.enrolment import build_enrolment
from licenseusage.reports.keys import SigningKey, VendorKey, VendorKeys
from licenseusage.reports.licence import License, LicenseTerms, build_license, read_license
from licenseusage.reports.names import Link, digest
from licenseusage.reports.receipt import ReceiptInput, ReceiptVerdict, Sent, build_receipt
from licenseusage.reports.report import ReportInput, build_report
from licenseusage.reports.terms import CycleTerms
from licenseusage.reports.typs import LICENSE, RECEIPT

DAY = 86400
ANCHOR = 1767225600  # 2026-01-01
NOW_S = ANCHOR + 40 * DAY
NOW_MS = 1000 * NOW_S


def key(label: str) -> SigningKey:
    return SigningKey.from_seed(hashlib.sha256(label.encode()).digest())


LICENCE_KEY, RECEIPT_KEY, INSTALLATION_KEY = (key(label) for label in ("lic", "rcpt", "inst"))
VENDOR_KEYS = VendorKeys(
    [
        VendorKey(LICENCE_KEY.public, frozenset({LICENSE})),
        VendorKey(RECEIPT_KEY.public, frozenset({RECEIPT})),
    ]
)


def licence() -> License:
    token = build_license(
        LicenseTerms(
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
            endpoint="https://usage.vendor.example",
        ),
        LICENCE_KEY,
    )
    return read_license(token, VENDOR_KEYS)


def enrolment() -> str:
    return build_enrolment(licence(), INSTALLATION_KEY, issued_at_s=ANCHOR)


def reports(count: int, license_id: str = "lic-1", after: Sequence[str] = ()) -> list[str]:
    """Interims of the first cycle, one a day, linked; they go on from those that there are."""
    tokens = list(after)
    previous = Link(len(tokens), digest(tokens[-1])) if tokens else None
    for day in range(len(tokens) + 1, count + 1):
        as_of = ANCHOR + day * DAY
        content = Content(
            kind=Kind.INTERIM,
            product="acme",
            license_id=license_id,
            cycle=ReportCycle(0, ANCHOR, ANCHOR + 30 * DAY, as_of),
            active_users=day,
            active_users_upper_bound=None,
            accuracy="LowerBound",
            coverage=ReportCoverage(day * DAY),
            rules=ReportRules("signed in", digest("rules")),
            clock=ReportClock(as_of),
            operator=OperatorInfo("1.0.0"),
        )
        tokens.append(
            build_report(
                ReportInput(
                    installation=INSTALLATION_KEY.installation,
                    vendor="https://vendor.example",
                    subscription="sub-1",
                    namespace="collab",
                    name="production",
                    issued_at_s=as_of,
                    content=content,
                    previous=previous,
                ),
                INSTALLATION_KEY,
            )
        )
        previous = Link(day, digest(tokens[-1]))
    return tokens


def usage_report(token: str, namespace: str, name: str) -> dict[str, object]:
    """The object of a report, as the operator makes it."""
    day = {"startTime": "2026-01-01T00:00:00Z", "startDate": "2026-01-01"}
    end = {"endTime": "2026-01-31T00:00:00Z", "endDate": "2026-01-31"}
    return {
        "apiVersion": "licenseusage.dev/v1alpha1",
        "kind": "UsageReport",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {"licenseusage.dev/usage": "production"},
        },
        "spec": {
            "usageName": "production",
            "kind": "Interim",
            "sequence": 1,
            "cycle": {"index": 0, **day, **end},
            "activeText": "1",
            "token": token,
        },
    }


@dataclass
class VendorDesk:
    """Signs receipts; by default honest ones."""

    issued: int = 0
    now_s: int = NOW_S
    key: SigningKey = field(default_factory=lambda: RECEIPT_KEY)

    def receipt(
        self,
        token: str,
        verdict: ReceiptVerdict = ReceiptVerdict.ACCEPTED,
        error: str | None = None,
        head: Link | str | None = "subject",
        **changes: object,
    ) -> str:
        sent = Sent.from_token(token)
        self.issued += 1
        values = {
            "vendor": sent.vendor,
            "installation": sent.installation,
            "subscription": sent.subscription,
            "receipt_id": f"rcpt-{self.issued:06d}",
            "issued_at_s": self.now_s,
            "received_at_s": self.now_s,
            "verdict": verdict,
            "subject": sent.subject,
            "chain_id": sent.chain_id,
            "head": sent.subject.link if head == "subject" else head,
            "error": error,
            **changes,
        }
        return build_receipt(ReceiptInput(**values), self.key)  # type: ignore[arg-type]
