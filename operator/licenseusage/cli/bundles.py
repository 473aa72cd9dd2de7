"""Which documents of a ledger go into bundles, and which bundles: decided from what it holds."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from licenseusage.cli.times import show_time
from licenseusage.errors import Stalled
from licenseusage.ledger.documents.exporting import LedgerDocuments, Usage, is_settled
from licenseusage.ledger.documents.records import Delivery, OutboxItem
from licenseusage.reasons import Reason
from licenseusage.reports.bundle import Lines, Parties, make_bundle, read_lines
from licenseusage.reports.content import Kind
from licenseusage.reports.keyring import KeyRing, KeyStatement, Placed
from licenseusage.reports.keys import SigningKey
from licenseusage.reports.names import digest
from licenseusage.reports.refused import need
from licenseusage.reports.report import read_report
from licenseusage.reports.tokens import decode

SUFFIX = ".usage-bundle"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for.

    Attributes:
        namespace: Only LicenseUsages in it; None: in any.
        names: Only these; empty: all.
        since_ms: Documents signed since then, acknowledged or not; None: no others than wait.
        every: The whole chains.
    """

    namespace: str | None = None
    names: tuple[str, ...] = ()
    since_ms: int | None = None
    every: bool = False

    @property
    def settled_too(self) -> bool:
        """Whether documents are asked for that the vendor has acknowledged."""
        return self.every or self.since_ms is not None


@dataclass(frozen=True, slots=True)
class MadeBundle:
    """One file of documents.

    Attributes:
        name: A name for the file: subscription, chain of its keys, and its number of several.
        data: The bundle.
    """

    name: str
    data: str


@dataclass(frozen=True, slots=True)
class Exported:
    """What was made of a ledger.

    Attributes:
        bundles: By subscription; of several files of one, the oldest first.
        notes: Sentences about what was left out, and why.
    """

    bundles: tuple[MadeBundle, ...]
    notes: tuple[str, ...]


def export(documents: LedgerDocuments, wanted: Wanted, keys: KeyRing, now_s: int) -> Exported:
    """Make the bundles that are asked for.

    A subscription of which nothing waits makes none, unless acknowledged documents are asked for.

    Args:
        documents: What the ledger holds.
        wanted: What is asked for.
        keys: The installation's keys.
        now_s: The time, seconds since 1970 UTC.

    Raises:
        Stalled: ``NoDocument``: a name is unknown; ``Ambiguous``: it is one of several objects;
            ``KeyUnknown``: everything is of an installation with another key.
    """
    asked = _asked_for(documents, wanted)
    bundles: list[MadeBundle] = []
    notes: list[str] = []
    foreign: list[str] = []
    for key_chain, statements in documents.statements.items():
        reports = [
            report
            for report in documents.reports
            if report.key_chain_id == key_chain
            and (asked is None or documents.usages.get(report.meter_id or 0) in asked)
        ]
        ready = list(_ready(reports, documents, wanted, notes))
        waits = any(not is_settled(document) for document in (*statements, *ready))
        if not (waits or (wanted.settled_too and ready)) or (asked is not None and not ready):
            continue
        key = _signer(statements, keys)
        if key is None:
            foreign.append(_not_ours(statements, len(ready)))
            continue
        bundles += _bundles(statements, ready, key, now_s)
    if foreign and not bundles:
        raise Stalled(Reason.KEY_UNKNOWN, " ".join(foreign))
    return Exported(tuple(bundles), (*notes, *foreign))


def described(data: str) -> str:
    """Return what is in a bundle, in a few words for whoever carries it.

    Raises:
        Refused: It is cut or damaged.
    """
    lines = whole(data)
    parties = Parties.of((*lines.key_statements, *lines.reports)[0])
    reports = [read_report(token) for token in lines.reports]
    finals = sum(report.content.kind is not Kind.INTERIM for report in reports)
    oldest = min((report.envelope.issued_at_s for report in reports), default=None)
    more = "" if oldest is None else f" ({finals} of ended cycles; signed since {_day(oldest)})"
    statements = len(lines.key_statements)
    return (
        f"{_several(len(reports), 'report')}{more} and {_several(statements, 'key statement')} of "
        f"subscription {parties.subscription} for {parties.vendor}"
    )


def whole(data: str) -> Lines:
    """Return the lines of a bundle that is as its manifest says; no signature is checked.

    Raises:
        Refused: It is cut or damaged.
    """
    lines = read_lines(data)
    _header, claims = decode(lines.manifest)
    need(claims.get("contentDigest") == digest(lines.content), Reason.BUNDLE_INVALID, "cut")
    return lines


def _day(seconds: int) -> str:
    return show_time(seconds)[:10]


def _asked_for(documents: LedgerDocuments, wanted: Wanted) -> frozenset[Usage] | None:
    """Return the objects that are asked for; None: all."""
    known = set(documents.usages.values())
    here = {usage for usage in known if wanted.namespace in (None, usage.namespace)}
    if not wanted.names:
        return None if wanted.namespace is None else frozenset(here)
    asked: set[Usage] = set()
    for name in dict.fromkeys(wanted.names):
        fitting = {usage for usage in here if usage.name == name}
        if not fitting:
            where = f" in namespace {wanted.namespace}" if wanted.namespace else ""
            there = ", ".join(sorted(map(str, known))) or "none"
            raise Stalled(
                Reason.NO_DOCUMENT,
                f"The ledger knows no LicenseUsage {name!r}{where}; it knows: {there}.",
            )
        if len(fitting) > 1:
            raise Stalled(
                Reason.AMBIGUOUS,
                f"There are {' and '.join(sorted(map(str, fitting)))}: name the namespace (-n).",
            )
        asked |= fitting
    return frozenset(asked)


def _ready(
    reports: Sequence[OutboxItem], documents: LedgerDocuments, wanted: Wanted, notes: list[str]
) -> Iterator[OutboxItem]:
    """Yield the reports that may leave the house; say of the others why not."""
    for chain_id, of_chain in groupby(reports, key=lambda report: report.chain_id):
        in_order = list(of_chain)
        usage = documents.usages.get(in_order[0].meter_id or 0)
        why = documents.stopped.get(chain_id)
        if why is not None and not wanted.settled_too:
            left_out = _several(len(in_order), "report")
            notes.append(
                f"{usage}: its chain is stopped ({why}); left out until that is decided: "
                f"{left_out} (--all takes them along)."
            )
            continue
        held_back = next(
            (n for n, report in enumerate(in_order) if report.state is Delivery.AWAITING_APPROVAL),
            len(in_order),
        )
        if held_back < len(in_order):
            left_out = _several(len(in_order) - held_back, "report")
            first = in_order[held_back]
            where = "" if usage is None else f" -n {usage.namespace}"
            notes.append(
                f"{usage}: left out until approved: {left_out}, from {first.kind} report "
                f"{first.sequence} on (kubectl licenseusage approve{where} --all)."
            )
        yield from in_order[:held_back]


def _bundles(
    statements: Sequence[OutboxItem], reports: Sequence[OutboxItem], key: SigningKey, now_s: int
) -> Iterable[MadeBundle]:
    parties = Parties.of(statements[0].token)
    files = make_bundle(
        parties,
        key,
        key_statements=[statement.token for statement in statements],
        reports=[report.token for report in reports],
        now_s=now_s,
    )
    words = re.sub(r"[^A-Za-z0-9.]+", "-", parties.subscription).strip("-.")[:60]
    name = f"{words or 'subscription'}-{statements[0].chain_id[:8]}"
    for number, data in enumerate(files, 1):
        part = f"-{number}" if len(files) > 1 else ""
        yield MadeBundle(f"{name}{part}{SUFFIX}", data)


def _signer(statements: Sequence[OutboxItem], keys: KeyRing) -> SigningKey | None:
    """Return the key that signs for a subscription now; None: it is not at hand."""
    return keys.signer(
        [
            Placed(
                KeyStatement.from_token(statement.token).brings.thumbprint,
                statement.state is Delivery.ACCEPTED,
            )
            for statement in statements
        ]
    )


def _not_ours(statements: Sequence[OutboxItem], reports: int) -> str:
    parties = Parties.of(statements[0].token)
    return (
        f"{_several(reports, 'report')} of subscription {parties.subscription}: from installation "
        f"{parties.installation[-43:]}, whose current key is not in the identity Secret: nobody "
        f"here can sign their bundle. Send the vendor their UsageReports instead (kubectl get "
        f"usagereports -A -o json)."
    )


def _several(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
