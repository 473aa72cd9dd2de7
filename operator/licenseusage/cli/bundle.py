"""``licenseusage bundle …``: show and verify bundles, on the customer's side and the vendor's."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from licenseusage.cli.bundlecontents import PackedBundle, PackedCycle, PackedDocument, contents
from licenseusage.cli.documents import (
    Bundle,
    GivenDocument,
    read_all_given,
    read_bundle,
    read_evidence,
    read_license_file,
    read_vendor_keys,
)
from licenseusage.cli.exits import NOT_OK, UNDETERMINED
from licenseusage.cli.findings import (
    BUNDLE,
    KEYS,
    DocumentCheck,
    OverallResult,
    not_checked,
    overall_result,
)
from licenseusage.cli.output import Output, OutputOption, print_fields, print_json, print_table
from licenseusage.cli.report import counts_in_words
from licenseusage.cli.times import show_time
from licenseusage.cli.verification import VerificationInputs, verify_documents
from licenseusage.clock import clock_from
from licenseusage.reasons import Reason
from licenseusage.reports.bundle import read_lines
from licenseusage.reports.intake import unpacked
from licenseusage.reports.refused import Refused

app = typer.Typer(
    help="Show and verify bundles, for clusters without a network route.", no_args_is_help=True
)

_File = Annotated[
    str, typer.Argument(metavar="FILE", help="A .usage-bundle file; - is standard input.")
]


@app.callback()
def bundle() -> None:
    """Show and verify bundles: the files that carry reports out of a cluster without network."""


@app.command()
def show(file: _File, output: OutputOption = Output.TABLE) -> None:
    """Show who packed a bundle, which cycles it speaks of, and every document in it.

    Signatures are not verified; see `bundle verify`. `report show` shows all contents of a report.

    Exit code 3: the file cannot be read, or is no bundle in order (its class is named).

    Examples:
        licenseusage bundle show 2026-10-31.usage-bundle

        licenseusage bundle show 2026-10-31.usage-bundle --output json | jq .cycles
    """
    given = read_bundle(file)
    packed = contents(read_lines(given.data))
    if output is Output.JSON:
        print_json({"bundle": given.source, "verified": False, **_json(packed)})
        return
    typer.echo(f"{given.source} (not verified)")
    _print_who(packed)
    typer.echo()
    print_table(
        ["LINE", "DOCUMENT", "USAGE", "CYCLE", "ACTIVE USERS", "ID"],
        [_row(document) for document in packed.documents],
    )


@app.command()
def verify(
    file: _File,
    *,
    vendor_keys: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="The vendor's jwks.json, or the ConfigMap licenseusage-vendor-keys.",
        ),
    ] = None,
    receipt: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="The receipts file that answered it. Repeatable."),
    ] = None,
    received: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE",
            help="Reports that were received before, in any form that `report verify` reads: the "
            "chains are checked together with them. Repeatable.",
        ),
    ] = None,
    enrolment: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE",
            help="Key statements of the installation, if the bundle has none. Repeatable.",
        ),
    ] = None,
    license_files: Annotated[
        list[str] | None,
        typer.Option(
            "--license",
            metavar="FILE",
            help="Licences that reports name, in addition to the enrolment's. Repeatable.",
        ),
    ] = None,
    complete: Annotated[
        bool,
        typer.Option(
            "--complete", help="Treat missing reports as a fault, from the first report on."
        ),
    ] = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Verify a bundle: that it is as it was packed, and every document in it.

    The bundle brings the key statements of its installation; --vendor-keys is needed to check them,
    and with them everything else. With --receipt, the vendor's receipts are checked, too.

    Exit code 0: the file is as it was packed, every signature was checked and nothing is wrong. 1:
    something is wrong, or the vendor refused it; the class of REPORT_FORMAT section 12 is named for
    the line. 3: a signature was not checked, or the file could not be read.

    Examples:
        licenseusage bundle verify 2026-10-31.usage-bundle --vendor-keys jwks.json

        licenseusage bundle verify 2026-10-31.usage-bundle --vendor-keys jwks.json
            --receipt receipts.txt
    """
    given = read_bundle(file)
    evidence = VerificationInputs(
        vendor_keys=read_vendor_keys(vendor_keys) if vendor_keys else None,
        receipts=read_evidence(map(str, receipt or ())),
        key_statements=read_evidence(enrolment or ()),
        licenses=tuple(
            GivenDocument(path, unpacked(read_license_file(path))) for path in license_files or ()
        ),
        now_s=clock_from(os.environ).now_ms() // 1000,
        complete=complete,
    )
    results = verify_documents([*read_all_given(received or ()), given], evidence)
    if not receipt:  # nothing in a bundle is expected to have one
        results = [result for result in results if result.reason != Reason.NO_RECEIPT]
    if not vendor_keys:  # the enrolment is in the bundle
        results = [
            replace(result, message=_NEEDS_KEYS) if result.reason == Reason.NO_ENROLMENT else result
            for result in results
        ]
    overall = overall_result(results)
    _print_verified(given, results, overall, output)
    if overall is not OverallResult.OK:
        raise typer.Exit(NOT_OK if overall is OverallResult.NOT_OK else UNDETERMINED)


_NEEDS_KEYS = "needs --vendor-keys"


def _print_verified(
    given: Bundle, results: list[DocumentCheck], overall: OverallResult, output: Output
) -> None:
    packed = _contents(given)
    documents = () if packed is None else packed.documents
    by_line = [(document, _about(given, document, results)) for document in documents]
    if output is Output.JSON:
        print_json(
            {
                "ok": overall is OverallResult.OK,
                "answer": overall.value,
                "bundle": given.source,
                **({} if packed is None else _json(packed)),
                "checks": [_check_json(given, result) for result in results],
            }
        )
        return
    typer.echo(given.source)
    if packed is not None:
        _print_who(packed)
    typer.echo()
    placed = [result for _, about in by_line for result in about]
    others = [result for result in results if result not in placed]
    whole = [result for result in others if _is_file(given, result)]
    rows = [("1", "file" if packed is None else "manifest", result) for result in whole]
    for document, about in by_line:
        rows += [(str(document.number), document.words, result) for result in about]
    rows += [("", result.source, result) for result in others if result not in whole]
    print_table(
        ["LINE", "DOCUMENT", "RESULT", "WHAT"],
        [(line, name, result.level.value, result.message) for line, name, result in rows],
    )
    if missing := not_checked(results):
        typer.echo(missing)
    typer.echo(overall.value)


def _contents(given: Bundle) -> PackedBundle | None:
    """Return what it holds, if its lines are in order: otherwise that is what is wrong."""
    try:
        return contents(read_lines(given.data))
    except Refused:
        return None


def _about(
    given: Bundle, document: PackedDocument, results: list[DocumentCheck]
) -> list[DocumentCheck]:
    """Return the checks of one line; those of key statements are made for all of a chain."""
    source = f"{given.source}:{document.number}"
    return [
        result
        for result in results
        if result.source == source or (result.check == KEYS and source in result.source.split(", "))
    ]


def _is_file(given: Bundle, result: DocumentCheck) -> bool:
    """Whether a check is of the file as a whole: its lines and its manifest."""
    return result.check == BUNDLE and result.source == given.source


def _check_json(given: Bundle, result: DocumentCheck) -> dict[str, Any]:
    own = [
        int(source.removeprefix(f"{given.source}:"))
        for source in result.source.split(", ")
        if source.removeprefix(f"{given.source}:").isdecimal()
    ]
    return {
        "document": result.source,
        "lines": [1] if result.source == given.source else own,
        "check": result.check,
        "result": result.level.value,
        "reason": result.reason,
        "message": result.message,
        "findings": list(result.findings),
    }


def _print_who(packed: PackedBundle) -> None:
    manifest, counts = packed.manifest, packed.counts
    print_fields(
        [
            ("installation", manifest.parties.installation),
            ("subscription", manifest.parties.subscription),
            ("vendor", manifest.parties.vendor),
            ("packed", show_time(manifest.issued_at_s)),
            ("documents", ", ".join(_several(number, name) for name, number in counts.items())),
            *((f"{cycle.usage}", _cycle_words(cycle)) for cycle in packed.cycles),
        ],
        indent="  ",
    )


def _cycle_words(cycle: PackedCycle) -> str:
    span = cycle.value.cycle
    kinds = ", ".join(_several(number, kind.value) for kind, number in cycle.kinds.items())
    state = "" if cycle.value.kind.value != "interim" else ", provisional"
    return (
        f"cycle {span.index}, {show_time(span.start_s)[:10]} to {show_time(span.end_s)[:10]}: "
        f"{counts_in_words(cycle.value)} active users{state} ({kinds})"
    )


def _several(number: int, name: str) -> str:
    return f"{number} {name}" if number == 1 else f"{number} {name}s"


def _row(document: PackedDocument) -> tuple[object, ...]:
    report = document.report
    if report is None:
        seen = f"cannot be read: {document.unreadable}" if document.unreadable else "-"
        return document.number, document.words, seen, "-", "-", document.document_id or "-"
    usage = f"{report.envelope.namespace}/{report.envelope.name}"
    counts = counts_in_words(report.content)
    return (
        document.number,
        document.words,
        usage,
        report.content.cycle.index,
        counts,
        document.document_id,
    )


def _json(packed: PackedBundle) -> dict[str, Any]:
    parties = packed.manifest.parties
    return {
        "installation": parties.installation,
        "subscription": parties.subscription,
        "vendor": parties.vendor,
        "packed": show_time(packed.manifest.issued_at_s),
        "documents": packed.counts,
        "cycles": [
            {
                "usage": cycle.usage,
                "index": cycle.value.cycle.index,
                "start": show_time(cycle.value.cycle.start_s),
                "end": show_time(cycle.value.cycle.end_s),
                "kind": cycle.value.kind.value,
                "activeUsers": cycle.value.active_users,
                "activeUsersUpperBound": cycle.value.active_users_upper_bound,
                "accuracy": cycle.value.accuracy,
                "reports": {kind.value: number for kind, number in cycle.kinds.items()},
            }
            for cycle in packed.cycles
        ],
        "lines": [
            {
                "line": document.number,
                "type": document.typ,
                "id": document.document_id,
                "sequence": document.sequence,
                "unreadable": document.unreadable,
            }
            for document in packed.documents
        ],
    }
