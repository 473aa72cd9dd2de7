"""``licenseusage statement``: what signed reports say about a cycle, to read and to file."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from licenseusage import __version__
from licenseusage.cli.exits import NOT_OK
from licenseusage.cli.kubectl import ContextOption, KubeconfigOption, Kubectl, NamespaceOption
from licenseusage.cli.statementchecks import chains_and_others, judged
from licenseusage.cli.statementfiles import Written, write_all
from licenseusage.cli.statementinput import (
    DocumentsOption,
    EnrolmentOption,
    EvidenceOptions,
    FromOption,
    LicenseOption,
    OperatorNamespaceOption,
    StatementInput,
    VendorKeysOption,
    gather,
)
from licenseusage.cli.written import write_whole
from licenseusage.clock import clock_from
from licenseusage.errors import Stalled
from licenseusage.reasons import Reason
from licenseusage.statement.choosing import Choice, Newest, Numbered, quarter, year
from licenseusage.statement.cycles import ReportedChain, State
from licenseusage.statement.forms import Form, text_of
from licenseusage.statement.statement import Statement, state

MADE_BY = f"licenseusage {__version__}"

app = typer.Typer()


@app.command()
def statement(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Name of the LicenseUsage.")
    ] = None,
    *,
    namespace: NamespaceOption = None,
    cycle: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="The cycle of this number.")
    ] = None,
    last: Annotated[bool, typer.Option("--last", help="The newest finished cycle.")] = False,
    running: Annotated[
        bool, typer.Option("--running", help="The running cycle; its number is provisional.")
    ] = False,
    quarter_text: Annotated[
        str | None,
        typer.Option("--quarter", metavar="2026Q4", help="Cycles whose last day is in a quarter."),
    ] = None,
    year_text: Annotated[
        str | None,
        typer.Option("--year", metavar="2026", help="Cycles whose last day is in a year."),
    ] = None,
    chain: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Of several chains this one; its first digits do."),
    ] = None,
    output: Annotated[
        Form | None,
        typer.Option("--output", "-o", help="Default: as the name of --file ends, else html."),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH", help="Write into this file, whole or not at all; one there is replaced."
        ),
    ] = None,
    directory: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Write HTML and CSV of every finished cycle that has none there yet; without "
            "NAME, of every LicenseUsage.",
        ),
    ] = None,
    all_namespaces: Annotated[
        bool,
        typer.Option("--all-namespaces", "-A", help="With --directory: of all namespaces."),
    ] = False,
    from_: FromOption = None,
    vendor_keys: VendorKeysOption = None,
    enrolment: EnrolmentOption = None,
    license_files: LicenseOption = None,
    documents: DocumentsOption = None,
    operator_namespace: OperatorNamespaceOption = "licenseusage-system",
    context: ContextOption = None,
    kubeconfig: KubeconfigOption = None,
) -> None:
    """Write a statement of active users, from signed reports only: to read, print and file.

    It shows the active users beside the entitlement, how exact the number is and why, each day,
    gaps, earlier cycles, who counts, and the signed reports with a way to check them. Without an
    option it is about the newest finished cycle; while none is, about the running one. HTML is one
    file without scripts; nothing is loaded from anywhere.

    Reports are read by kubectl with your rights, and so are the operator's key statements and the
    vendor's keys, if you may read them. With --from all of this comes from files: that works
    without a cluster, and at the vendor. What is needed to verify is verified, and a statement is
    made of nothing that does not verify; what could not be verified is said. The entitlement stands
    in the licence, which is part of the enrolment, or is given by --license.

    Exit code 0: written. 1: a document does not verify, or contradicts another. 3: there is no such
    cycle (the message lists those that there are), or something could not be read or written.

    Examples:
        kubectl licenseusage statement opencloud -n opencloud --file opencloud.html

        kubectl licenseusage statement opencloud -n opencloud --quarter 2026Q4 -o csv

        licenseusage statement opencloud --from 2026-12-01.usage-bundle --vendor-keys jwks.json
            --last --file opencloud.html

        licenseusage statement --all-namespaces --directory /statements
    """
    kubectl = Kubectl(context, kubeconfig)
    evidence = EvidenceOptions(
        vendor_keys,
        tuple(enrolment or ()),
        tuple(license_files or ()),
        documents,
        operator_namespace,
    )
    choice = _choice(cycle, quarter_text, year_text, last=last, running=running)
    now_s = clock_from(os.environ).now_ms() // 1000
    if directory is not None:
        if choice or chain or file or output:
            raise typer.BadParameter("--directory writes every finished cycle: leave out the rest.")
        with judged():
            given = gather(evidence, from_ or (), kubectl, namespace, everywhere=all_namespaces)
        names = frozenset({name} if name else ())
        _print(write_all(given, directory, names, now_s=now_s, made_by=MADE_BY))
        return
    if name is None:
        raise typer.BadParameter("name a LicenseUsage; `kubectl get licenseusage` lists them.")
    if all_namespaces:
        raise typer.BadParameter("--all-namespaces goes with --directory; use --namespace.")
    with judged():
        given = gather(evidence, from_ or (), kubectl, namespace)
        made = _made(given, name, namespace, choice, chain, now_s)
        text = text_of(made, output or _form_of(file))
    if file is None:
        typer.echo(text, nl=False)
    else:
        write_whole(file, text.encode())


def _choice(
    cycle: int | None, quarter_text: str | None, year_text: str | None, *, last: bool, running: bool
) -> Choice | None:
    """Return the one choice that was made; None: none was.

    Raises:
        typer.BadParameter: Several were, or one is malformed.
    """
    given = [cycle is not None, last, running, quarter_text is not None, year_text is not None]
    if sum(given) > 1:
        raise typer.BadParameter(
            "give one of --cycle, --last, --running, --quarter and --year, or none."
        )
    try:
        if quarter_text is not None:
            return quarter(quarter_text)
        if year_text is not None:
            return year(year_text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    if cycle is not None:
        return Numbered(cycle)
    return Newest(finished=last) if last or running else None


def _made(
    given: StatementInput,
    name: str,
    namespace: str | None,
    choice: Choice | None,
    chain: str | None,
    now_s: int,
) -> Statement:
    chains, others = chains_and_others(given, name, namespace, now_s)
    only = None if chain is None else _only(chains, chain)
    finished = any(
        cycle.state is not State.PROVISIONAL
        for looked_at in ([only] if only else chains)
        for cycle in looked_at.cycles
    )
    return state(
        chains,
        others,
        choice or Newest(finished),
        only=only,
        made_at_s=now_s,
        made_by=MADE_BY,
    )


def _only(chains: Sequence[ReportedChain], start: str) -> ReportedChain:
    fitting = [chain for chain in chains if chain.id.startswith(start)]
    if len(fitting) == 1:
        return fitting[0]
    named = ", ".join(f"{chain.id} (contract {chain.envelope.subscription})" for chain in chains)
    raise Stalled(
        Reason.AMBIGUOUS if fitting else Reason.NO_DOCUMENT,
        f"{len(fitting)} chains begin with {start!r}. There are: {named}",
    )


def _form_of(file: Path | None) -> Form:
    ending = "" if file is None else file.suffix.removeprefix(".").lower()
    return next((form for form in Form if form.value == ending), Form.HTML)


def _print(done: Written) -> None:
    for path in done.files:
        typer.echo(path)
    for fault in done.faults:
        typer.echo(f"error: {fault}", err=True)
    typer.echo(f"{len(done.files)} written, {done.present} were there before", err=True)
    if done.faults:
        raise typer.Exit(NOT_OK)
