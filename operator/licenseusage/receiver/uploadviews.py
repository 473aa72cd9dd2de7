"""What the page shows of a bundle that was taken in: pure, from results to rows."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from licenseusage.reasons.book import BOOK
from licenseusage.reasons.vocabulary import Reason
from licenseusage.receiver.bundles import BundleResult, LineResult
from licenseusage.reports.content import Content
from licenseusage.reports.inwords import count_text
from licenseusage.reports.names import digest
from licenseusage.reports.receipt import ReceiptVerdict
from licenseusage.reports.refused import Refused
from licenseusage.reports.report import read_report
from licenseusage.reports.tokens import decode
from licenseusage.reports.typs import ENROLMENT, REPORT

_OUTCOMES = ("accepted", "already known", "rejected", "conflict", "refused")
"""What can become of a document, in the order of the summary."""


@dataclass(frozen=True, slots=True)
class Row:
    """One document.

    Attributes:
        number: Its line in the file.
        what: Kind and position, for people.
        usage: Namespace and name; None for a key statement, and for what is not authentic.
        chain_id: Of an authentic report, for the link to its page.
        cycle: The cycle in words; "" if it has none, or is not authentic.
        count: Its active users in words; "" likewise.
        outcome: One of ``accepted``, ``already known``, ``rejected``, ``conflict``, ``refused``.
        error: The class, unless accepted.
        why: What the class means and what to do.
        findings: Those of the receipt.
    """

    number: int
    what: str
    usage: str | None
    chain_id: str | None
    cycle: str
    count: str
    outcome: str
    error: str | None
    why: str
    findings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class UploadPage:
    """A bundle that was taken in.

    Attributes:
        installation: Whose.
        subscription: Under which contract.
        product: What is counted.
        packed_s: When it was packed, as its manifest says.
        summary: Outcome and number of documents, for outcomes that occur.
        wrong: Rows that somebody should look at.
        rows: All rows, in the order of the file.
        receipted: Digests of the documents that have receipts (hex), for the download.
    """

    installation: str
    subscription: str
    product: str
    packed_s: int
    summary: tuple[tuple[str, int], ...]
    wrong: tuple[Row, ...]
    rows: tuple[Row, ...]
    receipted: tuple[str, ...]


def upload_page(result: BundleResult) -> UploadPage:
    """Return what is shown of a bundle."""
    rows = tuple(_row(line) for line in result.lines)
    counts = Counter(row.outcome for row in rows)
    receipted = (digest(line.token) for line in result.lines if line.receipt is not None)
    terms = result.sender.terms
    return UploadPage(
        installation=result.sender.installation,
        subscription=terms.subscription,
        product=terms.product,
        packed_s=result.sender.issued_at_s,
        summary=tuple((name, counts[name]) for name in _OUTCOMES if counts[name]),
        wrong=tuple(row for row in rows if row.error is not None),
        rows=rows,
        receipted=tuple(value.removeprefix("sha256:") for value in dict.fromkeys(receipted)),
    )


def explained(error: str, detail: str = "") -> str:
    """Return a class in words for the page: what it means here, and what to do."""
    entry = BOOK[Reason(error)]
    means = detail or entry.means
    return f"{means[:1].upper()}{means[1:].rstrip('.')}. {_FIXES.get(Reason(error), entry.fix)}"


_FIXES = {
    Reason.KEY_UNKNOWN: "Ask the customer to export again: a bundle holds all key statements of "
    "its installation.",
    Reason.TOO_LARGE: "See whether it is the right file: an export that does not fit into one file "
    "is several, to be taken in one by one.",
}
"""Where a file needs something else to be done than a document that is sent by itself."""


def _row(line: LineResult) -> Row:
    sequence, chain_id, usage, cycle, count = None, None, None, "", ""
    if line.verdict is not None:  # authentic: its envelope was checked
        claims: Any = decode(line.token)[1]
        sequence = claims["chain"]["sequence"]
        if line.typ == REPORT:
            chain_id = claims["chain"]["id"]
            usage = f"{claims['usage']['namespace']}/{claims['usage']['name']}"
    content = _content(line) if line.typ == REPORT else None
    if content is not None:
        cycle, count = _cycle(content), count_text(content)
    return Row(
        number=line.number,
        what=_what(line, sequence, content),
        usage=usage,
        chain_id=chain_id,
        cycle=cycle,
        count=count,
        outcome=_outcome(line),
        error=line.error,
        why=explained(line.error, line.message) if line.error is not None else "",
        findings=_findings(line),
    )


def _what(line: LineResult, sequence: int | None, content: Content | None) -> str:
    kind = "Report" if line.typ == REPORT else "Succession"
    if line.typ == ENROLMENT:
        kind = "Enrolment"
    if content is not None:
        kind = content.kind.value.capitalize()
    return kind if sequence is None or line.typ == ENROLMENT else f"{kind} {sequence}"


def _content(line: LineResult) -> Content | None:
    """Return the content of an accepted report; None: what it says was refused."""
    if line.verdict is not ReceiptVerdict.ACCEPTED:
        return None
    try:
        return read_report(line.token).content
    except Refused:
        return None


def _outcome(line: LineResult) -> str:
    if line.verdict is None:
        return "refused"
    if line.verdict is not ReceiptVerdict.ACCEPTED:
        return "rejected" if line.verdict is ReceiptVerdict.REJECTED else "conflict"
    return "already known" if line.known else "accepted"


def _findings(line: LineResult) -> tuple[str, ...]:
    if line.receipt is None:
        return ()
    findings = decode(line.receipt)[1]["findings"]
    return tuple(str(name) for name in findings) if isinstance(findings, Sequence) else ()


def _cycle(content: Content) -> str:
    cycle = content.cycle
    return f"{cycle.index}: {_day(cycle.start_s)} to {_day(cycle.end_s)}"


def _day(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")
