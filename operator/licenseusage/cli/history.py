"""``licenseusage history``: every billing cycle that was reported, one a line."""

import os
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated

import typer

from licenseusage.cli.kubectl import ContextOption, KubeconfigOption, Kubectl, NamespaceOption
from licenseusage.cli.output import print_json, print_table
from licenseusage.cli.statementchecks import chains_and_others, judged
from licenseusage.cli.statementinput import (
    DocumentsOption,
    EnrolmentOption,
    EvidenceOptions,
    FromOption,
    LicenseOption,
    OperatorNamespaceOption,
    VendorKeysOption,
    gather,
)
from licenseusage.clock import clock_from
from licenseusage.statement.ascsv import as_csv
from licenseusage.statement.asjson import history_as_json
from licenseusage.statement.cycles import ReportedChain, ReportedCycle
from licenseusage.statement.words import (
    days_of,
    entitled_words,
    grouped,
    number,
    over_words,
    to_bill,
)

app = typer.Typer()


class HistoryOutput(StrEnum):
    """How the cycles are shown."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


@app.command()
def history(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the LicenseUsage.")],
    *,
    namespace: NamespaceOption = None,
    output: Annotated[
        HistoryOutput,
        typer.Option("--output", "-o", help="table for people, csv for sheets, json for programs."),
    ] = HistoryOutput.TABLE,
    from_: FromOption = None,
    vendor_keys: VendorKeysOption = None,
    enrolment: EnrolmentOption = None,
    license_files: LicenseOption = None,
    documents: DocumentsOption = None,
    operator_namespace: OperatorNamespaceOption = "licenseusage-system",
    context: ContextOption = None,
    kubeconfig: KubeconfigOption = None,
) -> None:
    """List every billing cycle of a LicenseUsage that signed reports are here of, newest first.

    The UsageReports in the cluster keep the final report of every cycle, also of those that
    the LicenseUsage's status no longer shows. TO-BILL is the lower bound: the users that are
    proved.

    Numbers of different cycles are never added: the same people are counted in several. Neither
    are those of different chains, which are listed apart.

    Options and exit codes are those of `licenseusage statement`.

    Examples:
        kubectl licenseusage history opencloud -n opencloud --enrolment enrolment.jwt

        licenseusage history opencloud --from exports --output csv
    """
    evidence = EvidenceOptions(
        vendor_keys,
        tuple(enrolment or ()),
        tuple(license_files or ()),
        documents,
        operator_namespace,
    )
    with judged():
        given = gather(evidence, from_ or (), Kubectl(context, kubeconfig), namespace)
        now_s = clock_from(os.environ).now_ms() // 1000
        chains, _ = chains_and_others(given, name, namespace, now_s)
    listed = [(chain, tuple(reversed(chain.cycles))) for chain in chains]
    match output:
        case HistoryOutput.TABLE:
            _print(listed)
        case HistoryOutput.CSV:
            rows = ((chain, cycle) for chain, cycles in listed for cycle in cycles)
            typer.echo(as_csv(rows), nl=False)
        case HistoryOutput.JSON:
            print_json(history_as_json(listed))


def _print(listed: Sequence[tuple[ReportedChain, Sequence[ReportedCycle]]]) -> None:
    for at, (chain, cycles) in enumerate(listed):
        if len(listed) > 1:
            apart = "" if at == 0 else "\n"
            named = f"contract {chain.envelope.subscription}, chain {chain.id[:8]}"
            typer.echo(f"{apart}{named}; not to be added to another chain's numbers")
        print_table(
            ["CYCLE", "DAYS", "ACTIVE", "TO-BILL", "ENTITLED", "COMPARED", "PROVISIONED", "STATE"],
            [_row(cycle) for cycle in cycles],
        )


def _row(cycle: ReportedCycle) -> Sequence[object]:
    billed, provisioned = to_bill(cycle), cycle.content.provisioned_users
    return (
        cycle.index,
        days_of(cycle),
        number(cycle.content),
        "-" if billed is None else grouped(billed),
        entitled_words(cycle),
        over_words(cycle),
        "-" if provisioned is None else grouped(provisioned),
        cycle.state.value,
    )
