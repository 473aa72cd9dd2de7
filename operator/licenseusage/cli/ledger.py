"""``licenseusage ledger …``: check, back up and restore the operator's ledger.

With a file, on that file. Without one, on the operator's ledger: where the environment names it, or
in the operator's pod, from wherever the command is called.
"""

import os
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Annotated

import typer

from licenseusage.cli.exits import NOT_OK, UNDETERMINED
from licenseusage.cli.inpod import (
    ContextOption,
    KubeconfigOption,
    OperatorNamespaceOption,
    OperatorPod,
    progress_lines,
)
from licenseusage.cli.ledgerplace import (
    InPod,
    LedgerFile,
    ProgressOption,
    StreamOption,
    own_ledger,
    place,
    progress_bar,
)
from licenseusage.cli.ledgershown import (
    SENT,
    print_backup,
    print_merged,
    print_restored,
    print_results,
)
from licenseusage.cli.ledgerstream import received_ledger, send_backup
from licenseusage.cli.output import Output, OutputOption
from licenseusage.clock import clock_from
from licenseusage.errors import Stalled
from licenseusage.ledger.documents.enrolled import key_statements
from licenseusage.ledger.storage.copying import Progress
from licenseusage.ledger.upkeep.checking import Level, check_ledger
from licenseusage.ledger.upkeep.merging import merge_ledgers
from licenseusage.ledger.upkeep.snapshot import backup as back_up
from licenseusage.ledger.upkeep.snapshot import restore as put_back
from licenseusage.reasons import Reason

app = typer.Typer(help="Check, back up, restore, merge and read ledgers.", no_args_is_help=True)

InPodOption = Annotated[
    bool,
    typer.Option("--in-pod", help="The first file is in the operator's pod, not on this machine."),
]


@app.callback()
def ledger() -> None:
    """Check, back up, restore and merge ledgers.

    With a file, these commands work on that file. Without one, they work on the operator's ledger:
    they run in its pod by kubectl exec, with your own rights, and bring files in and out. While the
    operator is scaled to zero, they run in the pod of manifests/maintenance.
    """


@app.command()
def check(
    file: LedgerFile = None,
    output: OutputOption = Output.TABLE,
    operator_namespace: OperatorNamespaceOption = "licenseusage-system",
    context: ContextOption = None,
    kubeconfig: KubeconfigOption = None,
    lines: ProgressOption = False,
) -> None:
    """Check a ledger or a backup: pages, rows, cycles, statements, signed chains.

    The command only reads, so you can run it while the operator works. Statements are derived again
    from the facts. Chains must have no hole, and every document must be the one that was signed.

    Exit code 0: everything is in order. 1: something is not. 3: the file could not be read, or
    another version of licenseusage is needed to check it.

    Examples:
        kubectl licenseusage ledger check

        licenseusage ledger check backup.sqlite --output json
    """
    where = place(file, OperatorPod(operator_namespace, context, kubeconfig))
    if isinstance(where, InPod):
        where.shown(["ledger", "check", f"--output={output}"], "checking", lines=True)
        return
    with _progress("checking", lines=lines) as progress:
        results = check_ledger(where, progress)
    levels = {result.level for result in results}
    print_results(where, results, output)
    if Level.BAD in levels:
        raise typer.Exit(NOT_OK)
    if Level.NOT_CHECKED in levels:
        raise typer.Exit(UNDETERMINED)


@app.command()
def backup(
    file: LedgerFile = None,
    destination: Annotated[
        Path | None, typer.Argument(metavar="[DEST]", help="As --out, after FILE.")
    ] = None,
    *,
    target: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="DEST", help="The file to create; it must not exist."),
    ] = None,
    output: Annotated[
        Output, typer.Option("--output", help="table for people, json for programs.")
    ] = Output.TABLE,
    operator_namespace: OperatorNamespaceOption = "licenseusage-system",
    context: ContextOption = None,
    kubeconfig: KubeconfigOption = None,
    stream: StreamOption = False,
) -> None:
    """Copy a ledger into one file while the operator works.

    The copy is a consistent snapshot. It is verified page by page and written to the disk before it
    is renamed to DEST, so DEST is a complete backup or does not exist. From the operator's pod it
    comes with its SHA-256, which is compared with what was written here.

    Keep it together with the Secrets licenseusage-identity and licenseusage-pseudonym of the same
    time: without its keys, a ledger can neither continue to count nor report. It holds pseudonyms
    of users: keep it as you keep the volume.

    Examples:
        kubectl licenseusage ledger backup -o backup.sqlite

        licenseusage ledger backup /var/lib/licenseusage/ledger.sqlite backup.sqlite
    """
    if stream:
        send_backup(own_ledger())
        return
    if (destination is None) == (target is None):
        raise typer.BadParameter("name the file to create once: -o DEST, or DEST after FILE")
    wanted = Path(str(target or destination))
    where = place(file, OperatorPod(operator_namespace, context, kubeconfig))
    if isinstance(where, InPod):
        made = where.fetched(wanted)
    else:
        with progress_bar("copying") as progress:
            made = back_up(where, wanted, progress)
    print_backup(made, output)


@app.command()
def restore(
    source: Annotated[
        Path, typer.Argument(metavar="BACKUP", help="A file made by `ledger backup`.")
    ],
    file: LedgerFile = None,
    *,
    in_pod: InPodOption = False,
    output: OutputOption = Output.TABLE,
    operator_namespace: OperatorNamespaceOption = "licenseusage-system",
    context: ContextOption = None,
    kubeconfig: KubeconfigOption = None,
    stream: StreamOption = False,
) -> None:
    """Replace the ledger by a backup; the previous ledger is kept beside it.

    The operator must not use the ledger: scale it to zero and apply manifests/maintenance first,
    then the command runs in that pod. (An operator that found its ledger damaged has closed it, and
    opens the restored one by itself.)

    What was counted and signed after the backup is missing until `ledger merge` adds it from the
    previous ledger. Chains with reports from after the backup are stopped until then: counting goes
    on, nothing new is signed for them, and the object's condition says so. Without the previous
    ledger, the operator completes them from the UsageReports in the cluster, if these are complete.

    Examples:
        kubectl licenseusage ledger restore backup.sqlite

        licenseusage ledger restore backup.sqlite /var/lib/licenseusage/ledger.sqlite
    """
    where = place(file, OperatorPod(operator_namespace, context, kubeconfig))
    if isinstance(where, InPod):
        _elsewhere(where, ["ledger", "restore", f"--output={output}"], source, in_pod=in_pod)
        return
    now_ms = clock_from(os.environ).now_ms()
    with _source(source, where, stream=stream) as backup_, progress_bar("copying") as progress:
        done = put_back(backup_, where, now_ms=now_ms, progress=progress)
    print_restored(done, None if stream else source, output)


@app.command()
def merge(
    other: Annotated[
        Path, typer.Argument(metavar="OTHER", help="A ledger or backup of the same users.")
    ],
    file: LedgerFile = None,
    *,
    in_pod: InPodOption = False,
    output: OutputOption = Output.TABLE,
    operator_namespace: OperatorNamespaceOption = "licenseusage-system",
    context: ContextOption = None,
    kubeconfig: KubeconfigOption = None,
    stream: StreamOption = False,
    lines: ProgressOption = False,
) -> None:
    """Add another ledger: who was active, what was read completely, and when; and what it signed.

    Use it for facts from between a backup and its restore, or from a second operator of the same
    product. OTHER is only read. It must have counted the same users, with the same pseudonym key
    and by the same definition. Otherwise nothing is changed, and the reason is printed.

    Facts are only added, so merging again, or in another order, changes nothing. Reports that OTHER
    has signed come over where its chain goes on from the one in FILE, as after a restore: the
    cycles are what they say, and a chain that was stopped for their loss goes on. Other reports,
    statements and states of cycles in FILE stay as they are; each chain that differs is listed.

    The operator must not use FILE; see `ledger restore`.

    Examples:
        kubectl licenseusage ledger merge other.sqlite

        licenseusage ledger merge ledger.sqlite.before-restore-20261123T180903Z ledger.sqlite
    """
    where = place(file, OperatorPod(operator_namespace, context, kubeconfig))
    if isinstance(where, InPod):
        _elsewhere(where, ["ledger", "merge", f"--output={output}"], other, in_pod=in_pod)
        return
    now_ms = clock_from(os.environ).now_ms()
    with (
        _source(other, where, stream=stream) as source,
        _progress("merging", lines=lines) as progress,
    ):
        done = merge_ledgers(source, where, now_ms=now_ms, progress=progress)
    print_merged(done, SENT if stream else str(other), where, output)


@app.command()
def enrolment(
    file: LedgerFile = None,
    operator_namespace: OperatorNamespaceOption = "licenseusage-system",
    context: ContextOption = None,
    kubeconfig: KubeconfigOption = None,
) -> None:
    """Print the installation's key statements, one per line, for `report verify --enrolment`.

    The vendor was sent the same statements. They contain public keys only; the private key is not
    read. You can run it while the operator works, and on a backup.

    Exit code 0: printed. 3: there are none (nothing was enrolled yet), or the file could not be
    read.

    Example:
        kubectl licenseusage ledger enrolment > enrolment.jwt
    """
    where = place(file, OperatorPod(operator_namespace, context, kubeconfig))
    if isinstance(where, InPod):
        where.shown(["ledger", "enrolment"], "reading")
        return
    statements = key_statements(where)
    if not statements:
        raise Stalled(
            Reason.NOT_ENROLLED,
            f"{where} holds no enrolment: one is made when the first licence is valid.",
        )
    for token in statements:
        typer.echo(token)


def _elsewhere(where: InPod, arguments: list[str], source: Path, *, in_pod: bool) -> None:
    """Change the ledger in a pod by a file there, or by one here."""
    if in_pod:
        lines = arguments[1] == "merge"
        where.shown([*arguments, "--", str(source)], "working", lines=lines, writing=True)
    else:
        where.given(source, arguments)


def _source(source: Path, ledger_: Path, *, stream: bool) -> AbstractContextManager[Path]:
    return received_ledger(ledger_) if stream else nullcontext(source)


def _progress(label: str, *, lines: bool) -> AbstractContextManager[Progress]:
    return nullcontext(progress_lines) if lines else progress_bar(label)
