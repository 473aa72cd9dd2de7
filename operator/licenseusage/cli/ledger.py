"""``licenseusage ledger …``: check, back up and restore the operator's ledger."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from licenseusage.cli.exits import NOT_OK, UNDETERMINED
from licenseusage.cli.output import Output, OutputOption, print_fields, print_json, print_table
from licenseusage.cli.times import show_time
from licenseusage.clock import clock_from
from licenseusage.errors import Stalled
from licenseusage.ledger.documents.enrolled import key_statements
from licenseusage.ledger.storage.copying import Progress, nothing_to_tell
from licenseusage.ledger.upkeep.checking import CheckResult, Level, check_ledger
from licenseusage.ledger.upkeep.merging import merge_ledgers
from licenseusage.ledger.upkeep.snapshot import Identity, Restored
from licenseusage.ledger.upkeep.snapshot import backup as back_up
from licenseusage.ledger.upkeep.snapshot import restore as put_back
from licenseusage.reasons import Reason

app = typer.Typer(help="Check, back up, restore, merge and read ledgers.", no_args_is_help=True)

LedgerFile = Annotated[
    Path, typer.Argument(metavar="FILE", help="The ledger, such as /var/lib/…/ledger.sqlite.")
]


@app.callback()
def ledger() -> None:
    """Check, back up, restore and merge ledgers.

    These commands work on files: in the operator's pod, or in any pod that mounts its volume.
    """


@app.command()
def check(file: LedgerFile, output: OutputOption = Output.TABLE) -> None:
    """Check a ledger or a backup: pages, rows, cycles, statements, signed chains.

    The command only reads, so you can run it while the operator works. Statements are derived again
    from the facts. Chains must have no hole, and every document must be the one that was signed.

    Exit code 0: everything is in order. 1: something is not. 3: the file could not be read, or
    another version of licenseusage is needed to check it.

    Examples:
        licenseusage ledger check /var/lib/licenseusage/ledger.sqlite

        licenseusage ledger check backup.sqlite --output json
    """
    with _progress("checking") as progress:
        results = check_ledger(file, progress)
    levels = {result.level for result in results}
    _print_results(file, results, output)
    if Level.BAD in levels:
        raise typer.Exit(NOT_OK)
    if Level.NOT_CHECKED in levels:
        raise typer.Exit(UNDETERMINED)


@app.command()
def backup(
    file: LedgerFile,
    destination: Annotated[
        Path, typer.Argument(metavar="DEST", help="The file to create; it must not exist.")
    ],
    output: OutputOption = Output.TABLE,
) -> None:
    """Copy a ledger into one file while the operator works.

    The copy is a consistent snapshot. It is verified page by page and written to the disk before it
    is renamed to DEST, so DEST is a complete backup or does not exist.

    Keep it together with the Secrets licenseusage-identity and licenseusage-pseudonym of the same
    time: without its keys, a ledger can neither continue to count nor report.

    Example:
        licenseusage ledger backup /var/lib/licenseusage/ledger.sqlite backup.sqlite
    """
    with _progress("copying") as progress:
        made = back_up(file, destination, progress)
    if output is Output.JSON:
        print_json({"path": str(made.path), "bytes": made.size_bytes, **_facts(made.identity)})
        return
    print_fields([("backup", made.path), ("bytes", made.size_bytes), *_fields(made.identity)])


@app.command()
def restore(
    source: Annotated[
        Path, typer.Argument(metavar="BACKUP", help="A file made by `ledger backup`.")
    ],
    file: LedgerFile,
    output: OutputOption = Output.TABLE,
) -> None:
    """Replace the ledger by a backup; the previous ledger is kept beside it.

    The operator must not use the ledger: scale it to zero first. (An operator that found its ledger
    damaged has closed it, and opens the restored one by itself.)

    What was counted and signed after the backup is missing until `ledger merge` adds it from the
    previous ledger. Chains with reports from after the backup are stopped until then: counting goes
    on, nothing new is signed for them, and the object's condition says so. Without the previous
    ledger, the operator completes them from the UsageReports in the cluster, if these are complete.

    Example:
        licenseusage ledger restore backup.sqlite /var/lib/licenseusage/ledger.sqlite
    """
    now_ms = clock_from(os.environ).now_ms()
    with _progress("copying") as progress:
        done = put_back(source, file, now_ms=now_ms, progress=progress)
    if output is Output.JSON:
        print_json(_restored(done))
        return
    print_fields(
        [
            ("restored", done.path),
            ("from", source),
            *_fields(done.identity),
            ("kept aside", done.aside or "nothing: there was no ledger"),
        ]
    )
    typer.echo()
    for line in _what_next(done):
        typer.echo(f"- {line}")


@app.command()
def merge(
    other: Annotated[
        Path, typer.Argument(metavar="OTHER", help="A ledger or backup of the same users.")
    ],
    file: LedgerFile,
    output: OutputOption = Output.TABLE,
) -> None:
    """Add another ledger: who was active, what was read completely, and when; and what it signed.

    Use it for facts from between a backup and its restore, or from a second operator of the same
    product. OTHER is only read. It must have counted the same users, with the same pseudonym key
    and by the same definition. Otherwise nothing is changed, and the reason is printed.

    Facts are only added, so merging again, or in another order, changes nothing. Reports that OTHER
    has signed come over where its chain goes on from the one in FILE, as after a restore: the
    cycles are what they say, and a chain that was stopped for their loss goes on. Other reports,
    statements and states of cycles in FILE stay as they are; each chain that differs is listed.

    The operator must not use FILE.

    Example:
        licenseusage ledger merge ledger.sqlite.before-restore-20261123T180903Z ledger.sqlite
    """
    now_ms = clock_from(os.environ).now_ms()
    with _progress("merging") as progress:
        done = merge_ledgers(other, file, now_ms=now_ms, progress=progress)
    if output is Output.JSON:
        print_json(
            {
                "path": str(file),
                "meters": done.meters,
                "cycles": done.cycles,
                "users": done.users,
                "documents": done.documents,
                "resumedChains": done.resumed,
                "skipped": done.skipped,
            }
        )
        return
    print_fields(
        [
            ("merged", other),
            ("into", file),
            ("cycles", done.cycles),
            ("users of whom something was added", done.users),
            ("new objects", done.meters),
            ("signed documents taken over", done.documents),
            ("stopped chains that go on", done.resumed),
            *(("left out", why) for why in done.skipped),
        ]
    )


@app.command()
def enrolment(file: LedgerFile) -> None:
    """Print the installation's key statements, one per line, for `report verify --enrolment`.

    The vendor was sent the same statements. They contain public keys only; the private key is not
    read. You can run it while the operator works, and on a backup.

    Exit code 0: printed. 3: there are none (nothing was enrolled yet), or the file could not be
    read.

    Example:
        kubectl -n licenseusage-system exec deploy/licenseusage-operator --
            licenseusage ledger enrolment /var/lib/licenseusage/ledger.sqlite > enrolment.jwt
    """
    statements = key_statements(file)
    if not statements:
        raise Stalled(
            Reason.NOT_ENROLLED,
            f"{file} holds no enrolment: one is made when the first licence is valid.",
        )
    for token in statements:
        typer.echo(token)


def _what_next(done: Restored) -> Iterator[str]:
    if done.readable:
        for chain in done.moved_on:
            yield (
                f"Chain {chain.chain_id} is stopped: report {chain.made} was signed, the backup "
                f"ends with {chain.in_backup}. It goes on once the previous ledger is merged, or "
                f"by itself if the UsageReports in the cluster are complete."
            )
        if not done.moved_on:
            yield "No chain has reports from after the backup: reporting goes on."
    else:
        yield (
            "The previous ledger cannot be read. The operator finds out from the UsageReports and "
            "the vendor's receipts whether a chain has reports from after the backup. It stops "
            "such a chain, and the object's condition says so."
        )
    if done.aside is not None and done.readable:
        yield (
            f"The previous ledger contains what was counted and signed after the backup. To add "
            f"it: "
            f"licenseusage ledger merge {done.aside} {done.path}"
        )
    yield "Start the operator; it looks at every object again."


def _restored(done: Restored) -> dict[str, object]:
    return {
        "path": str(done.path),
        **_facts(done.identity),
        "keptAside": None if done.aside is None else str(done.aside),
        "formerReadable": done.readable,
        "stoppedChains": [
            {"id": chain.chain_id, "backup": chain.in_backup, "former": chain.made}
            for chain in done.moved_on
        ],
    }


def _print_results(file: Path, results: tuple[CheckResult, ...], output: Output) -> None:
    levels = {result.level for result in results}
    if output is Output.JSON:
        print_json(
            {
                "file": str(file),
                "ok": levels == {Level.GOOD},
                "checks": [
                    {
                        "check": result.check,
                        "result": result.level.value,
                        "message": result.message,
                    }
                    for result in results
                ],
            }
        )
        return
    print_table(
        ("CHECK", "RESULT", "WHAT"),
        [(result.check, result.level.value, result.message) for result in results],
    )
    unclear = "NOT DETERMINED" if Level.NOT_CHECKED in levels else "OK"
    typer.echo("NOT OK" if Level.BAD in levels else unclear)


def _facts(identity: Identity) -> dict[str, object]:
    return {
        "ledgerId": identity.ledger_id,
        "schema": identity.schema_version,
        "writtenBy": identity.written_by,
        "asOf": show_time(identity.high_water_ms // 1000),
    }


def _fields(identity: Identity) -> list[tuple[str, object]]:
    return [
        ("ledger", identity.ledger_id),
        ("schema", f"{identity.schema_version}, by licenseusage {identity.written_by or '?'}"),
        ("as of", show_time(identity.high_water_ms // 1000)),
    ]


@contextmanager
def _progress(label: str) -> Iterator[Progress]:
    """Show how far a long copy is, to people only; files that take a moment show nothing."""
    if not sys.stderr.isatty():
        yield nothing_to_tell
        return
    with typer.progressbar(length=1000, label=label, file=sys.stderr) as bar:

        def tell(done: int, total: int) -> None:
            bar.update(done * 1000 // max(1, total) - bar.pos)

        yield tell
