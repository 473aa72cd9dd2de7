"""The signed documents that a statement is made of: gathered, sorted by type, and verified."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from licenseusage.cli.documents import (
    Bundle,
    GivenDocument,
    documents_in,
    read_given,
    read_license_file,
    read_vendor_keys,
)
from licenseusage.cli.kubectl import Kubectl
from licenseusage.errors import Stalled, UsageError
from licenseusage.reasons import Reason
from licenseusage.reports import typs
from licenseusage.reports.bundle import read_lines
from licenseusage.reports.intake import unpacked
from licenseusage.reports.keys import VendorKeys
from licenseusage.reports.refused import Refused
from licenseusage.reports.tokens import typ_of

REPORTS = "usagereports.licenseusage.dev"
JWKS = "jwks.json"
KEY_STATEMENTS_CONFIGMAP = "licenseusage-key-statements"
VENDOR_KEYS_CONFIGMAP = "licenseusage-vendor-keys"

FromOption = Annotated[
    list[str] | None,
    typer.Option(
        "--from",
        metavar="FILE",
        help="Take reports from files instead of the cluster: bundles, tokens, UsageReports (YAML, "
        "JSON), or folders of them; - is stdin. Repeatable.",
    ),
]
VendorKeysOption = Annotated[
    str | None,
    typer.Option(
        "--vendor-keys",
        metavar="FILE",
        help="The vendor's jwks.json: signatures are verified with it. Default: as the "
        "cluster has it, if reports are read from there.",
    ),
]
EnrolmentOption = Annotated[
    list[str] | None,
    typer.Option(
        "--enrolment",
        metavar="FILE",
        help="The installation's key statements; the licence in the enrolment states the "
        "entitlement. Repeatable. Default: as the cluster has them, if reports are read from "
        "there.",
    ),
]
LicenseOption = Annotated[
    list[str] | None,
    typer.Option(
        "--license",
        metavar="FILE",
        help="Licences that reports name, besides the enrolment's. Repeatable.",
    ),
]
DocumentsOption = Annotated[
    Path | None,
    typer.Option(
        "--documents",
        metavar="FOLDER",
        help="A folder that may hold jwks.json, key statements, licences and receipts: what is "
        "there is used.",
    ),
]


OperatorNamespaceOption = Annotated[
    str,
    typer.Option(
        "--operator-namespace",
        metavar="NS",
        help="Namespace of the operator, whose ConfigMaps hold its key statements and the vendor's "
        "keys.",
    ),
]


@dataclass(slots=True)
class StatementInput:
    """Documents by their type, as they were given."""

    reports: list[GivenDocument] = field(default_factory=list)
    key_statements: list[GivenDocument] = field(default_factory=list)
    receipts: list[GivenDocument] = field(default_factory=list)
    licenses: list[GivenDocument] = field(default_factory=list)
    vendor_keys: VendorKeys | None = None

    def add(self, documents: Iterable[GivenDocument]) -> None:
        """Sort documents by type.

        Raises:
            Stalled: ``NoDocument``: one is of no type that a statement is made of.
        """
        kinds = {
            typs.REPORT: self.reports,
            typs.ENROLMENT: self.key_statements,
            typs.SUCCESSION: self.key_statements,
            typs.RECEIPT: self.receipts,
            typs.LICENSE: self.licenses,
        }
        for document in documents:
            kind = kinds.get(_typ(document.token))
            if kind is None:
                raise Stalled(
                    Reason.NO_DOCUMENT,
                    f"{document.source} is no report, receipt, key statement or licence, or it was "
                    f"cut. Take it anew from where it was made, or leave it out.",
                )
            kind.append(document)

    def add_file(self, path: str) -> None:
        """Take a file, or every file of a folder but hidden ones.

        Raises:
            Stalled: ``FileUnreadable``, ``NoDocument``; Refused: it is a damaged bundle.
        """
        if path != "-" and Path(path).is_dir():
            for file in visible_files(Path(path)):
                self.add_file(str(file))
            return
        given = read_given(path)
        self.add(_unpacked(given) if isinstance(given, Bundle) else given)

    def add_folder(self, folder: Path) -> None:
        """Take what a folder of evidence holds; ``jwks.json`` is the vendor's keys.

        Raises:
            Stalled: as ``add_file``; ``FileUnreadable``: there is no such folder.
        """
        if not folder.is_dir():
            raise Stalled(Reason.FILE_UNREADABLE, f"{folder} is no folder.")
        for file in visible_files(folder):
            if file.name != JWKS:
                self.add_file(str(file))
            elif self.vendor_keys is None:
                self.vendor_keys = read_vendor_keys(str(file))


@dataclass(frozen=True, slots=True)
class EvidenceOptions:
    """The options of a command that say with what documents are verified."""

    vendor_keys: str | None = None
    enrolment: tuple[str, ...] = ()
    licenses: tuple[str, ...] = ()
    documents: Path | None = None
    operator_namespace: str = "licenseusage-system"


def gather(
    options: EvidenceOptions,
    files: Sequence[str],
    kubectl: Kubectl,
    namespace: str | None,
    *,
    everywhere: bool = False,
) -> StatementInput:
    """Read everything that was named: from files, or else from the cluster.

    Raises:
        UsageError: with the file, object or command that failed.
    """
    given = StatementInput()
    if options.vendor_keys is not None:
        given.vendor_keys = read_vendor_keys(options.vendor_keys)
    for path in options.enrolment:
        given.add_file(path)
    for path in options.licenses:
        given.add([GivenDocument(path, unpacked(read_license_file(path)))])
    if options.documents is not None:
        given.add_folder(options.documents)
    for path in files:
        given.add_file(path)
    if not files:
        for item in kubectl.list(REPORTS, namespace, everywhere=everywhere):
            given.add(documents_in(item, "an object without a name"))
        if not kubectl.direct and options.documents is None:
            _add_published(given, kubectl, options.operator_namespace)
    return given


def _add_published(given: StatementInput, kubectl: Kubectl, namespace: str) -> None:
    """Take what the operator publishes for verification, unless it was given.

    Whoever may read the reports need not be allowed to read this: the statement is made without it
    then, and says what was not verified.
    """
    try:
        if not given.key_statements:
            where = ("configmap", KEY_STATEMENTS_CONFIGMAP, f"--namespace={namespace}")
            given.add(documents_in(kubectl.get(*where), KEY_STATEMENTS_CONFIGMAP))
        if given.vendor_keys is None:
            where = ("configmap", VENDOR_KEYS_CONFIGMAP, f"--namespace={namespace}")
            jwks = (kubectl.get(*where).get("data") or {}).get(JWKS)
            if isinstance(jwks, str):
                source = f"ConfigMap {VENDOR_KEYS_CONFIGMAP}"
                given.vendor_keys = VendorKeys.from_jwks(jwks, source=source)
    except UsageError as error:
        typer.echo(
            f"note: what verifies the reports could not be read, so that not everything is "
            f"verified: {error.message}",
            err=True,
        )


def visible_files(folder: Path) -> list[Path]:
    """Return the files of a folder by name; a mounted ConfigMap has hidden ones besides."""
    try:
        return sorted(
            path for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")
        )
    except OSError as error:
        raise Stalled(Reason.FILE_UNREADABLE, f"{folder}: {error.strerror or error}") from None


def _unpacked(bundle: Bundle) -> list[GivenDocument]:
    try:
        lines = read_lines(bundle.data)
    except Refused as refusal:
        raise Refused(refusal.error, words=f"{bundle.source}: {refusal.message}") from None
    tokens = (*lines.key_statements, *lines.reports)
    return [
        GivenDocument(f"{bundle.source}:{number}", token) for number, token in enumerate(tokens, 2)
    ]


def _typ(token: str) -> str:
    try:
        return typ_of(token) if token.isascii() else ""
    except Refused:
        return ""
