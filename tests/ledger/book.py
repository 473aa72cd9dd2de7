"""A ledger as an operator leaves it: polls, statements, and documents that are really signed."""

import hashlib
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path

from licenseusage.controller.rules.issuer import Issuer
from licenseusage.ledger.documents.closing import Signing
from licenseusage.ledger.documents.records import (
    Committing,
    Delivery,
    DeliveryResult,
    ReportKind,
    SignedDocument,
)
from licenseusage.ledger.ledger import Ledger
from licenseusage.ledger.records import MeterKey
from licenseusage.metering.combine import Combine
from licenseusage.reports.content import OperatorInfo
from licenseusage.reports.enrolment import build_enrolment
from licenseusage.reports.keys import SigningKey, VendorKey, VendorKeys
from licenseusage.reports.licence import LicenseTerms, build_license, read_license
from licenseusage.reports.names import Link, digest, jti_of
from licenseusage.reports.terms import CycleTerms
from licenseusage.reports.typs import LICENSE
from tests.ledger.conftest import CYCLE, HOUR_MS, MINUTE_MS, START, TERMS, declared, poll

KEY = SigningKey.from_seed(hashlib.sha256(b"installation").digest())
RULES = "sha256:" + "a" * 64
_VENDOR = SigningKey.from_seed(hashlib.sha256(b"vendor").digest())
VENDOR_KEYS = VendorKeys([VendorKey(_VENDOR.public, frozenset({LICENSE}))])
_LICENSE = read_license(
    build_license(
        LicenseTerms(
            vendor="vendor.example",
            subscription="sub-1",
            license_id="lic-1",
            issued_at_s=START // 1000 - 86_400,
            not_before_s=START // 1000 - 86_400,
            expires_s=START // 1000 + 400 * 86_400,
            product="opencloud",
            cycle=CycleTerms(date(2026, 11, 1), length_days=4),
            interval_hours=24,
            reporting_required=True,
            endpoint="https://vendor.example",
        ),
        _VENDOR,
    ),
    VENDOR_KEYS,
)
ISSUER = Issuer(
    license=_LICENSE,
    key=KEY,
    namespace="default",
    name="opencloud",
    definition="signed in",
    rules_digest=RULES,
    operator=OperatorInfo("0.1.0", None),
)
CHAIN = ISSUER.chain


@contextmanager
def opened(path: Path, ledger_id: str = "ledger-1"):
    with Ledger.open(f"sqlite:///{path}", now_ms=START, ledger_id=ledger_id) as ledger:
        yield ledger


def begin(ledger: Ledger) -> None:
    """A meter with terms, and the enrolment of its installation."""
    meter = ledger.ensure_meter(MeterKey("default", "opencloud", "opencloud"), START)
    ledger.keep_terms(meter.id, TERMS, START)
    token = build_enrolment(_LICENSE, KEY, issued_at_s=START // 1000)
    document = SignedDocument(jti_of(CHAIN.key_chain_id, 1), digest(token), token)
    ledger.add_key_statement(CHAIN.key_chain_id, ReportKind.ENROLMENT, 1, document, START)


def count(ledger: Ledger, at_ms: int, *names: str, cycle=CYCLE, complete=True) -> None:
    """A poll that finds people active at the cycle's start; all there are, if it is complete."""
    active = {name: cycle.start_ms for name in names}
    found = replace(poll(at_ms, active, cycles=(cycle,), complete=complete), rules_digest=RULES)
    ledger.record_poll(found, at_ms)


def interim(ledger: Ledger, slot: int, now_ms: int) -> None:
    statement = ledger.statement(1, CYCLE, sources=[declared()])
    ledger.add_interim(1, slot, statement, now_ms, Signing(CHAIN, ISSUER.sign, now_ms))


def final(ledger: Ledger, cycle=CYCLE) -> None:
    """Close a cycle with what is proved."""
    at_ms = cycle.end_ms + 5 * MINUTE_MS
    statement = ledger.statement(1, cycle, sources=[declared()], as_of_ms=cycle.end_ms)
    ledger.begin_close(1, cycle, reason="ClosingPolls", statement=statement, now_ms=at_ms)
    committing = Committing((declared(),), Combine.UNION, lambda size: b"s" * size)
    ledger.close_cycle(1, cycle, at_ms, Signing(CHAIN, ISSUER.sign, at_ms, committing=committing))


def accept_all(ledger: Ledger, now_ms: int) -> None:
    """The vendor accepts everything that is due; its receipts are not looked at here."""
    while (item := ledger.claim(now_ms)) is not None:
        head = Link(item.sequence, item.digest)
        result = DeliveryResult(Delivery.ACCEPTED, receipt="r", received_ms=now_ms, head=head)
        ledger.record_result(item, result, now_ms)


def story(path: Path) -> None:
    """A cycle with an interim and its final, and a part of the next one; all of it accepted."""
    with opened(path) as ledger:
        begin(ledger)
        count(ledger, START + HOUR_MS, "ada", "bob")
        interim(ledger, 0, START + 2 * HOUR_MS)
        count(ledger, CYCLE.end_ms + 2 * MINUTE_MS, "ada", "bob", "eve")
        final(ledger)
        following = TERMS.cycle(1)
        count(ledger, following.start_ms + HOUR_MS, "ada", cycle=following)
        accept_all(ledger, following.start_ms + 2 * HOUR_MS)


def lower(ledger: Ledger, cycle=CYCLE) -> int:
    return ledger.statement(1, cycle, sources=[declared()]).bounds.lower
