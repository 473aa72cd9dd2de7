"""Statements written to a folder: one HTML and one CSV file for each finished cycle and revision.

What exists is never written again, so that it can run as often as one likes, and twice at once. An
amendment is a new revision, and has files of its own names; those of the final stay beside them.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from licenseusage.cli.statementchecks import chains_and_others, usages_of
from licenseusage.cli.statementinput import StatementInput
from licenseusage.cli.written import not_writable, write_whole
from licenseusage.errors import UsageError
from licenseusage.statement.choosing import Numbered
from licenseusage.statement.cycles import ReportedChain, ReportedCycle, State
from licenseusage.statement.forms import Form, text_of
from licenseusage.statement.statement import state


@dataclass(slots=True)
class Written:
    """What was done.

    Attributes:
        files: Newly written.
        present: How many were there before.
        faults: Sentences about objects of which nothing, or not everything, was written.
    """

    files: list[Path] = field(default_factory=list)
    present: int = 0
    faults: list[str] = field(default_factory=list)


def write_all(
    given: StatementInput,
    folder: Path,
    names: frozenset[str],
    *,
    now_s: int,
    made_by: str,
) -> Written:
    """Write the statements of all finished cycles that have none yet.

    Args:
        given: The documents.
        folder: It is made if it is not there.
        names: Of the LicenseUsages; empty: all.
        now_s: The time, seconds since 1970 UTC.
        made_by: Name and version of the program.

    Raises:
        Stalled: ``NotWritable``: the folder cannot be written, or its volume is full. Nothing is
            half written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise not_writable(folder, error) from None
    done = Written()
    for namespace, name in usages_of(given):
        if names and name not in names:
            continue
        try:
            chains, others = chains_and_others(given, name, namespace, now_s)
        except UsageError as error:
            done.faults.append(f"{namespace}/{name}: {error.reason}: {error.message}")
            continue
        for chain, cycle in _finished(chains):
            paths = {form: folder / name_of(chain, cycle, form) for form in _FORMS}
            missing = {form: path for form, path in paths.items() if not path.exists()}
            done.present += len(paths) - len(missing)
            made = state(
                chains, others, Numbered(cycle.index), only=chain, made_at_s=now_s, made_by=made_by
            )
            for form, path in missing.items():
                write_whole(path, text_of(made, form).encode())
                done.files.append(path)
    return done


def name_of(chain: ReportedChain, cycle: ReportedCycle, form: Form) -> str:
    """Return the file's name: object, chain, cycle, and the report that states its value.

    The parts are joined by ``_``, which no name of an object contains.
    """
    namespace, name = chain.usage
    sequence = cycle.value.envelope.sequence
    parts = f"{namespace}_{name}_{chain.id[:8]}_cycle{cycle.index:04d}_report{sequence:06d}"
    return f"{parts}.{form.value}"


_FORMS = (Form.HTML, Form.CSV)


def _finished(
    chains: tuple[ReportedChain, ...],
) -> Iterator[tuple[ReportedChain, ReportedCycle]]:
    for chain in chains:
        for cycle in chain.cycles:
            if cycle.state is not State.PROVISIONAL:
                yield chain, cycle
