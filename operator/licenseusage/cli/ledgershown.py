"""What the commands about ledgers print."""

from collections.abc import Iterator
from pathlib import Path

import typer

from licenseusage.cli.output import Output, print_fields, print_json, print_table
from licenseusage.cli.times import show_time
from licenseusage.ledger.upkeep.checking import CheckResult, Level
from licenseusage.ledger.upkeep.merging import Merged
from licenseusage.ledger.upkeep.snapshot import Backup, Identity, Restored

_MERGE = "licenseusage ledger merge {} {}"
_MERGE_IN_POD = "kubectl licenseusage ledger merge --in-pod {}"
SENT = "the file that was sent"
"""How a file is named that came by the standard input."""


def print_restored(done: Restored, source: Path | None, output: Output) -> None:
    """Print the result of a restore, and what to do next.

    Args:
        done: The result.
        source: The backup; None: it was sent to this pod.
        output: How.
    """
    if output is Output.JSON:
        print_json(_restored(done))
        return
    print_fields(
        [
            ("restored", done.path),
            ("from", source or SENT),
            *_fields(done.identity),
            ("kept aside", done.aside or "nothing: there was no ledger"),
        ]
    )
    typer.echo()
    for line in _what_next(done, _MERGE if source else _MERGE_IN_POD):
        typer.echo(f"- {line}")


def print_backup(made: Backup, output: Output) -> None:
    """Print what a backup holds."""
    if output is Output.JSON:
        print_json({"path": str(made.path), "bytes": made.size_bytes, **_facts(made.identity)})
        return
    print_fields([("backup", made.path), ("bytes", made.size_bytes), *_fields(made.identity)])


def print_merged(done: Merged, other: str, file: Path, output: Output) -> None:
    """Print the result of a merge."""
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


def _what_next(done: Restored, again: str) -> Iterator[str]:
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
            f"it: {again.format(done.aside, done.path)}"
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


def print_results(file: Path, results: tuple[CheckResult, ...], output: Output) -> None:
    """Print the results of a check, and their sum."""
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
