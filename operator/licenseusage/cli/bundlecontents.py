"""What a bundle holds, for people: who packed it, which cycles it speaks of, its documents."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from licenseusage.reports.bundle import Lines, Manifest, read_manifest
from licenseusage.reports.content import Content, Kind
from licenseusage.reports.receipt import Sent
from licenseusage.reports.refused import Refused
from licenseusage.reports.report import Report, read_report
from licenseusage.reports.tokens import typ_of
from licenseusage.reports.typs import ENROLMENT, REPORT, SUCCESSION

NAMES = {ENROLMENT: "enrolment", SUCCESSION: "succession", REPORT: "report"}


@dataclass(frozen=True, slots=True)
class PackedDocument:
    """One line of a bundle; nothing of it is verified.

    Attributes:
        number: Its line; the manifest is line 1.
        typ: Its type.
        document_id: Its ``jti``; None: it cannot be read.
        sequence: Its position; None likewise.
        report: What it says; None for a key statement, or if it cannot be read.
        unreadable: The class, if it cannot be read.
    """

    number: int
    typ: str
    document_id: str | None
    sequence: int | None
    report: Report | None
    unreadable: str | None

    @property
    def words(self) -> str:
        """Kind and position, as in ``final 2``."""
        kind = self.report.content.kind.value if self.report else NAMES[self.typ]
        return f"{kind} {self.sequence}" if self.sequence is not None else kind


@dataclass(frozen=True, slots=True)
class PackedCycle:
    """What a bundle says of one cycle of one usage object.

    Attributes:
        usage: Namespace and name.
        kinds: How many reports of each kind.
        value: The report that is nearest to what is billed: the last amendment or final, otherwise
            the last interim.
    """

    usage: str
    kinds: Counter[Kind]
    value: Content


@dataclass(frozen=True, slots=True)
class PackedBundle:
    """A bundle that could be read; nothing of it is verified."""

    manifest: Manifest
    documents: tuple[PackedDocument, ...]

    @property
    def counts(self) -> dict[str, int]:
        """Number of documents by type: ``enrolment``, ``succession``, ``report``."""
        seen = Counter(document.typ for document in self.documents)
        return {name: seen[typ] for typ, name in NAMES.items()}

    @property
    def cycles(self) -> list[PackedCycle]:
        """The cycles that it speaks of, by usage object, then in order of time."""
        by_cycle: dict[tuple[str, int], list[Report]] = {}
        for report in self.reports:
            envelope = report.envelope
            usage = f"{envelope.namespace}/{envelope.name}"
            by_cycle.setdefault((usage, report.content.cycle.index), []).append(report)
        return [
            PackedCycle(
                usage,
                Counter(report.content.kind for report in reports),
                max(reports, key=_weight).content,
            )
            for (usage, _), reports in sorted(by_cycle.items())
        ]

    @property
    def reports(self) -> Iterable[Report]:
        """The reports that can be read."""
        return (document.report for document in self.documents if document.report is not None)


def contents(lines: Lines) -> PackedBundle:
    """Read a bundle whose lines are in order, without verifying any signature.

    Raises:
        Refused: its manifest cannot be read.
    """
    manifest = read_manifest(lines.manifest)
    tokens = enumerate((*lines.key_statements, *lines.reports), 2)
    return PackedBundle(manifest, tuple(_document(number, token) for number, token in tokens))


def _document(number: int, token: str) -> PackedDocument:
    typ = typ_of(token)
    try:
        subject = Sent.from_token(token).subject
        report = read_report(token) if typ == REPORT else None
    except Refused as refusal:
        return PackedDocument(number, typ, None, None, None, str(refusal.error))
    return PackedDocument(number, typ, subject.jti, subject.sequence, report, None)


def _weight(report: Report) -> tuple[bool, int]:
    return report.content.kind is not Kind.INTERIM, report.envelope.sequence
