"""``licenseusage report …``: show the contents of reports, and verify them."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from licenseusage.cli.documents import (
    GivenDocument,
    read_all_given,
    read_documents,
    read_evidence,
    read_license_file,
    read_vendor_keys,
)
from licenseusage.cli.exits import NOT_OK, UNDETERMINED
from licenseusage.cli.exporting import export
from licenseusage.cli.findings import DocumentCheck, OverallResult, not_checked, overall_result
from licenseusage.cli.importing import import_receipts
from licenseusage.cli.output import Output, OutputOption, print_fields, print_json, print_table
from licenseusage.cli.preview import preview
from licenseusage.cli.proving import prove, verify_proof
from licenseusage.cli.times import show_time
from licenseusage.cli.verification import VerificationInputs, verify_documents
from licenseusage.clock import clock_from
from licenseusage.reports.content import Content
from licenseusage.reports.intake import unpacked
from licenseusage.reports.inwords import in_words
from licenseusage.reports.report import Report, read_report
from licenseusage.reports.tokens import decode

app = typer.Typer(
    help="Show, verify and export signed usage reports; import receipts.", no_args_is_help=True
)


@app.callback()
def report() -> None:
    """Show, verify and export signed usage reports; import receipts."""


@app.command()
def show(
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE...", help="Tokens or UsageReports (YAML, JSON); - is stdin."),
    ],
    output: OutputOption = Output.TABLE,
) -> None:
    """Show the complete contents of reports. Exactly this was sent to the vendor.

    Signatures are not verified; see `report verify`.

    Examples:
        kubectl get usagereport opencloud-8ee9a1f2-000301 -o yaml | licenseusage report show -

        kubectl get usagereports -A -o json | licenseusage report show - --output json
    """
    documents = [document for file in files for document in read_documents(file)]
    if output is Output.JSON:
        shown = [_decoded(document) for document in documents]
        print_json(shown[0] if len(shown) == 1 else shown)
        return
    for number, document in enumerate(documents):
        if number:
            typer.echo()
        typer.echo(f"{document.source} (not verified)")
        print_fields(_fields(read_report(document.token)), indent="  ")


@app.command()
def verify(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE...",
            help="Reports, receipts, key statements, bundles, or UsageReports (YAML, JSON); - is "
            "stdin.",
        ),
    ],
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
        typer.Option(
            metavar="FILE",
            help="The vendor's receipts; a UsageReport contains its own. Repeatable.",
        ),
    ] = None,
    enrolment: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE",
            help="The installation's key statements, as `ledger enrolment` prints them. "
            "Repeatable.",
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
    """Verify reports: their signatures, contents and chain, and the vendor's receipts.

    The customer's installation signs a report; --enrolment is needed to check this signature. The
    vendor signs a receipt for the exact bytes of a report; --vendor-keys is needed to check it. The
    command names everything that it could not check.

    Two different reports at one position are a fault (ReportConflict). A missing report is
    mentioned; with --complete it is a fault, too.

    Exit code 0: every signature was checked and nothing is wrong. 1: something is wrong, or the
    vendor rejected it; the class of REPORT_FORMAT section 12 is named. 3: a signature was not
    checked, or a file could not be read.

    Examples:
        kubectl -n licenseusage-system exec deploy/licenseusage-operator --
            licenseusage ledger enrolment /var/lib/licenseusage/ledger.sqlite > enrolment.jwt

        kubectl get usagereport NAME -o yaml | licenseusage report verify - --vendor-keys jwks.json
            --enrolment enrolment.jwt

        licenseusage report verify reports/*.jwt --receipt receipts.jwt --vendor-keys jwks.json
            --enrolment enrolment.jwt --complete
    """
    given = read_all_given(files)
    evidence = VerificationInputs(
        vendor_keys=read_vendor_keys(vendor_keys) if vendor_keys else None,
        receipts=read_evidence(map(str, receipt or ())),
        key_statements=read_evidence(enrolment or ()),
        licenses=tuple(_license(path) for path in license_files or ()),
        now_s=clock_from(os.environ).now_ms() // 1000,
        complete=complete,
    )
    results = verify_documents(given, evidence)
    _print(results, output)
    if overall_result(results) is not OverallResult.OK:
        raise typer.Exit(
            NOT_OK if overall_result(results) is OverallResult.NOT_OK else UNDETERMINED
        )


app.command()(preview)
app.command()(export)
app.command("import")(import_receipts)
app.command()(prove)
app.command("verify-proof")(verify_proof)


def _license(path: str) -> GivenDocument:
    return GivenDocument(path, unpacked(read_license_file(path)))


def _print(results: list[DocumentCheck], output: Output) -> None:
    if output is Output.JSON:
        print_json(
            {
                "ok": overall_result(results) is OverallResult.OK,
                "answer": overall_result(results).value,
                "checks": [
                    {
                        "document": result.source,
                        "check": result.check,
                        "result": result.level.value,
                        "reason": result.reason,
                        "message": result.message,
                        "findings": list(result.findings),
                    }
                    for result in results
                ],
            }
        )
        return
    print_table(
        ["DOCUMENT", "CHECK", "RESULT", "WHAT"],
        [(result.source, result.check, result.level.value, result.message) for result in results],
    )
    if missing := not_checked(results):
        typer.echo(missing)
    typer.echo(overall_result(results).value)


def _decoded(document: GivenDocument) -> dict[str, object]:
    header, claims = decode(document.token)
    return {"source": document.source, "header": header, "claims": claims}


def _fields(report: Report) -> list[tuple[str, Any]]:
    envelope, content = report.envelope, report.content
    cycle, coverage, rules = content.cycle, content.coverage, content.rules
    acknowledged = envelope.acknowledged
    return [
        ("report", envelope.jti),
        ("digest", envelope.digest),
        ("kind", content.kind.value),
        ("usage", f"{envelope.namespace}/{envelope.name}"),
        ("product", content.product),
        ("active users", counts_in_words(content)),
        ("accuracy", content.accuracy),
        ("in words", in_words(content)),
        ("provisioned users", content.provisioned_users),
        ("daily active users", _daily(content)),
        ("cycle", f"{cycle.index}: {show_time(cycle.start_s)} to {show_time(cycle.end_s)}"),
        ("as of", show_time(cycle.as_of_s)),
        ("observed", f"{coverage.observed_seconds} s{', gaps merged' if coverage.merged else ''}"),
        *[
            ("gap", f"{show_time(gap.start_s)} to {show_time(gap.end_s)}: {gap.reason}")
            for gap in coverage.gaps
        ],
        ("who counts", rules.definition),
        ("excluded", _counts(dict(rules.exclusions))),
        ("uncertainty", _counts({cause.reason: cause.users for cause in content.uncertainty})),
        ("assumptions", ", ".join(rules.assumptions) or None),
        ("rules", f"{rules.digest}, changed {rules.changes_in_cycle} times in this cycle"),
        ("purpose", content.purpose or "as licensed"),
        ("commitment", content.commitment),
        ("pseudonym key", content.pseudonym_key_id),
        ("supersedes", _supersedes(content)),
        ("clock", _clock(content)),
        ("issued", show_time(envelope.issued_at_s)),
        ("chain", f"{envelope.chain_id}, {envelope.continuity}"),
        ("previous", envelope.previous),
        ("acknowledged", acknowledged and f"{acknowledged.sequence} {acknowledged.digest}"),
        ("installation", envelope.installation),
        ("key", envelope.kid),
        ("vendor", envelope.vendor),
        ("subscription", envelope.subscription),
        ("licence", content.license_id),
        ("operator", content.operator.version),
        ("cluster", content.operator.cluster),
    ]


def counts_in_words(content: Content) -> str:
    """Return the count with its bounds, as far as they are known."""
    low, high = content.active_users, content.active_users_upper_bound
    if low is None:
        return "unknown" if high is None else f"at most {high}"
    if content.accuracy == "Estimate":
        return f"about {low}"
    if high is None:
        return f"at least {low}"
    return str(low) if low == high else f"at least {low}, at most {high}"


def _daily(content: Content) -> str | None:
    days = content.daily_active_users
    return None if days is None else " ".join("?" if day is None else str(day) for day in days)


def _supersedes(content: Content) -> str | None:
    old = content.supersedes
    if old is None:
        return None
    note = f": {old.note}" if old.note else ""
    return f"{old.link.sequence} {old.link.digest}, {old.reason}{note}"


def _clock(content: Content) -> str:
    clock = content.clock
    vendor = "-" if clock.vendor_time_s is None else show_time(clock.vendor_time_s)
    return (
        f"high water {show_time(clock.high_water_s)}, steps back {clock.backward_steps}, "
        f"forward {clock.forward_steps}, largest {clock.largest_step_seconds} s, "
        f"vendor's time {vendor}, reference offset {clock.reference_offset_seconds} s"
    )


def _counts(counts: dict[str, int]) -> str | None:
    return ", ".join(f"{name} {count}" for name, count in counts.items()) or None
