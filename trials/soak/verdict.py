"""The verdict at a history's end: what the vendor holds, and what is missing of it."""

from collections.abc import Mapping
from typing import Any, Protocol

import httpx

from licenseusage.receiver.store import Document
from licenseusage.reports.keyring import key_chains, signed_by
from licenseusage.reports.keys import InstallationKey
from licenseusage.reports.licence import stored_license
from licenseusage.reports.receipt import Sent, verify_receipt
from licenseusage.reports.tokens import decode
from licenseusage.reports.typs import ENROLMENT, REPORT
from trials.proof import verified_chain
from trials.soak import vendor as vendors
from trials.soak.checks import Checker
from trials.soak.need import need
from trials.soak.people import HOUR_MS
from trials.soak.plan import Usage
from trials.soak.process import Estate
from trials.soak.tally import Tally
from trials.soak.timeline import World, WrongClock

_GRACE_HOURS = 24
_DELIVERED_MS = 6 * HOUR_MS
"""In peace a document is delivered within this: the spread of first sends, and a look."""


class Lived(Protocol):
    """A history that has come to its end, as far as it is judged here."""

    world: World
    checker: Checker
    estate: Estate
    vendor: vendors.Vendor
    vendor_clock: WrongClock
    usages: dict[str, Usage]
    ever_deleted: set[str]
    serials: dict[str, int]
    tally: Tally


async def examine(history: Lived) -> None:
    """Compare the vendor's books with the ledger's, and with what was due.

    Raises:
        Violation: A chain is broken, a receipt does not verify, a final is missing or twice there.
    """
    chains = _chains(history)
    accepted: dict[tuple[str, int], int] = {}
    for chain_id, tokens in chains.items():
        documents = history.vendor.documents(chain_id)
        stored = {document.token for document in documents}
        need(stored <= set(tokens), f"chain {chain_id}: the vendor holds what the ledger does not")
        for token in tokens:
            claims: Any = decode(token)[1]
            late = 1000 * int(claims["iat"]) < history.world.now_ms() - _DELIVERED_MS
            message = f"document {claims['jti']} of {claims['iat']} has not arrived"
            unused = "cnf" in claims and _former(history)
            unused = unused or ("kind" not in claims and _carried(history, claims, chains))
            need(token in stored or not late or unused, message)
        for document in documents:
            _receipt(document)
        _verify(history, chain_id, documents)
        _licences(history, documents)
        for token in stored:
            claims = decode(token)[1]
            history.tally.documents[str(claims.get("kind", "enrolment"))] += 1
            if claims.get("kind") == "final":
                at = (claims["usage"]["name"], 1000 * claims["cycle"]["start"])
                accepted[at] = accepted.get(at, 0) + 1
    _finals(history, accepted)
    await _again(history, chains)


def _chains(history: Lived) -> dict[str, list[str]]:
    chains: dict[str, list[str]] = {}
    for token in history.checker.tokens.values():
        chains.setdefault(Sent.from_token(token).chain_id, []).append(token)
    return chains


def _receipt(document: Document) -> None:
    need(document.verdict == "Accepted", f"document {document.jti} is {document.verdict}")
    receipt = verify_receipt(document.receipt, vendors.KEYS, Sent.from_token(document.token))
    need(receipt.subject.digest == document.digest, "a receipt for another document")


def _former(history: Lived) -> bool:
    """Whether a subscription may be in use by no object any more: its succession waits then."""
    return bool(history.ever_deleted) or any(len(u.terms) > 1 for u in history.usages.values())


def _carried(history: Lived, claims: Mapping[str, Any], chains: Mapping[str, list[str]]) -> bool:
    """Whether a key statement waits for its first report: a file with that brings it along."""
    subscription = claims["sub"]
    exported = any(
        usage.carried and subscription.startswith(f"subscription-{name}-")
        for name, usage in history.usages.items()
    )
    of_chains = (decode(tokens[0])[1] for tokens in chains.values())
    reported = any(first["sub"] == subscription and "kind" in first for first in of_chains)
    return exported and not reported


def _licences(history: Lived, documents: list[Document]) -> None:
    """The vendor knows the licence that each report names, unless it was renewed on the way."""
    for document in documents:
        if document.typ != REPORT:
            continue
        claims: Any = decode(document.token)[1]
        serial = int(claims["licenseId"].rpartition("-")[2])
        history.tally.notes["reports under a renewed licence"] += serial > 1
        if "LicenseUnknown" in document.findings:
            history.tally.notes["reports under a licence lost on its way"] += 1
            newest = history.serials[claims["usage"]["name"]]
            message = (
                f"document {document.jti}: the vendor does not know licence {serial} of {newest}"
            )
            need(serial < newest, message)


def _verify(history: Lived, chain_id: str, documents: list[Document]) -> None:
    reports = [document for document in documents if document.typ == REPORT]
    if not reports:
        return
    subscription = Sent.from_token(reports[0].token).subscription
    statements = next(
        chain
        for chain in key_chains(history.checker.tokens.values()).values()
        if chain[0].sent.subscription == subscription
    )
    keys = {
        key.brings.thumbprint: InstallationKey(key.brings, key.sent.installation, rank=rank)
        for rank, key in enumerate(statements, 1)
    }
    signers = {signed_by(report.token) for report in reports}
    history.tally.notes["chains that several keys have signed"] += len(signers) > 1
    licence = next(
        stored_license(str(claims["license"]))
        for claims in (decode(token)[1] for token in history.checker.tokens.values())
        if "license" in claims and claims["sub"] == subscription
    )
    verified = verified_chain(
        reports,
        license_=licence,
        keys=keys,
        vendor_keys=vendors.KEYS,
        now_s=history.vendor_clock.now_ms() // 1000,
    )
    need(len(verified.reports) == len(reports), f"chain {chain_id}: not every report counts")
    last = max(reports, key=lambda report: report.sequence)
    sequences = sorted(report.sequence for report in reports)
    need(
        sequences == list(range(1, last.sequence + 1)), f"chain {chain_id} has a gap at the vendor"
    )


def _finals(history: Lived, accepted: dict[tuple[str, int], int]) -> None:
    """Every cycle that was begun and whose time is over has exactly one final."""
    now_ms = history.world.now_ms()
    for (name, start_ms), cycle in history.checker.cycles.items():
        usage = history.usages[name]
        grace = usage.spec["closeGraceHours"]
        if name in history.ever_deleted:  # nobody knows the spec's grace any more
            grace = max(grace, _GRACE_HOURS)
        due_ms = cycle.end_ms + grace * HOUR_MS + 24 * HOUR_MS + _DELIVERED_MS
        count = accepted.get((name, start_ms), 0)
        need(count <= 1, f"cycle {cycle.index} of {name} has {count} finals")
        if due_ms > now_ms:
            continue
        state = history.checker.states(name)[start_ms]
        need(state == "Final", f"cycle {cycle.index} of {name} is still {state}")
        if usage.licensed:
            need(count == 1, f"cycle {cycle.index} of {name} has no accepted final")
        else:
            history.tally.cycles["without licence"] += 1
    for name, usage in history.usages.items():
        if name not in history.ever_deleted and len(usage.terms) == 1:
            starts = sorted(start for of, start in history.checker.cycles if of == name)
            ends = sorted(c.end_ms for (of, _), c in history.checker.cycles.items() if of == name)
            need(starts[1:] == ends[:-1], f"cycles of {name} have a gap")
            need(ends[-1] > now_ms - 2 * HOUR_MS, f"the newest cycle of {name} is missing")


async def _again(history: Lived, chains: dict[str, list[str]]) -> None:
    """Sending everything again changes nothing."""
    before = {chain: history.vendor.documents(chain) for chain in chains}
    for documents in before.values():
        for token in [document.token for document in documents]:
            sent = Sent.from_token(token)
            where = "keys" if sent.subject.typ == ENROLMENT else "reports"
            answer = await history.vendor.direct(
                httpx.Request(
                    "PUT",
                    f"{vendors.ENDPOINT}/v1/{where}/{sent.subject.jti}",
                    content=token.encode(),
                    headers={"content-type": "application/jose"},
                )
            )
            body = (await answer.aread()).decode()
            need(answer.status_code == 200, f"sent again: {answer.status_code}")
            need(
                body == next(d.receipt for d in before[sent.chain_id] if d.token == token),
                "sent again: another receipt",
            )
    for chain, documents in before.items():
        need(history.vendor.documents(chain) == documents, "sending again changed the vendor")
