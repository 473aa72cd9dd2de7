"""``licenseusage report export``: signed documents as bundles, for a vendor out of reach.

Where the ledger is, the bundles are made; anywhere else the command runs itself in the operator's
pod and takes them out as a tar archive.
"""

import io
import os
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import Annotated, BinaryIO

import typer

from licenseusage.cli.bundles import Exported, MadeBundle, Wanted, described, whole
from licenseusage.cli.bundles import export as make_export
from licenseusage.cli.exportfolder import Tidied, keep_folder
from licenseusage.cli.inpod import (
    ContextOption,
    KubeconfigOption,
    OperatorNamespaceOption,
    OperatorPod,
    beside_ledger,
    run_in_pod,
)
from licenseusage.cli.ownkeys import key_ring
from licenseusage.cli.times import parse_time, show_time
from licenseusage.cli.written import write_whole
from licenseusage.clock import clock_from
from licenseusage.controller.settings import from_mapping
from licenseusage.errors import Retryable, Stalled
from licenseusage.ledger.documents.exporting import (
    MOST_BESIDE_OPERATOR,
    MOST_CHARACTERS,
    settled,
    signed_documents,
)
from licenseusage.ledger.storage.database import path_of
from licenseusage.reasons import Reason
from licenseusage.reports.refused import Refused

_END = "complete"
"""Name of an archive's last member: without it something was lost on the way."""


def export(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME", help="LicenseUsages; without a name, all of them."),
    ] = None,
    *,
    namespace: Annotated[
        str | None,
        typer.Option(
            "--namespace", "-n", metavar="NS", help="Only LicenseUsages in this namespace."
        ),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Add what was signed since then (day or RFC 3339), acknowledged or not.",
        ),
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Export the whole chains, acknowledged or not.")
    ] = False,
    target: Annotated[
        str | None,
        typer.Option(
            "--out", "-o", metavar="FILE", help="File or folder to write to; - is stdout."
        ),
    ] = None,
    directory: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Keep a folder: add what it lacks, remove what is receipted. For a CronJob.",
        ),
    ] = None,
    tar: Annotated[
        bool, typer.Option("--tar", hidden=True, help="Write a tar archive of bundles to stdout.")
    ] = False,
    operator_namespace: OperatorNamespaceOption = "licenseusage-system",
    context: ContextOption = None,
    kubeconfig: KubeconfigOption = None,
) -> None:
    """Write what waits for the vendor into a bundle: a file to carry to the vendor.

    A bundle is a text file: every report without the vendor's receipt, byte for byte as it was
    signed, and the installation's key statements. It holds counts, and no user. The vendor uploads
    it and answers with a receipts file, which `report import` applies. Until then every export
    holds the same documents again: carry it as often as you like, nothing is counted twice.

    Reports that wait for approval stay. The command only reads. It runs in the operator's pod by
    kubectl exec (with your own rights) and writes the file on your side, whole or not at all.
    Documents of several subscriptions, or too many for one file, make several: name a folder.

    Exit code 0: written, or nothing waits (then there is no file). 3: it could not be done.

    Examples:
        kubectl licenseusage report export -o acme.usage-bundle

        kubectl licenseusage report export -n opencloud opencloud --all -o audit.usage-bundle

        kubectl licenseusage report export --since 2026-10-01 -o exports/

        licenseusage report export --directory /exports
    """
    wanted = Wanted(
        namespace, tuple(names or ()), None if since is None else 1000 * parse_time(since), every
    )
    if (target is not None) + (directory is not None) + tar != 1:
        raise typer.BadParameter("give either -o FILE or --directory DIR")
    if directory is not None:
        _keep(directory, wanted)
        return
    if beside_ledger():
        made = _from_ledger(wanted, MOST_BESIDE_OPERATOR)
        bundles = made.bundles
        _say(made.notes)
        if tar:
            _archive(bundles, sys.stdout.buffer)
            return
    else:
        pod = OperatorPod(operator_namespace, context, kubeconfig)
        bundles = _out_of_pod(pod, _arguments(wanted, since))
    _write(bundles, str(target))


def _from_ledger(wanted: Wanted, most: int) -> Exported:
    """Make the bundles of the ledger that the environment names."""
    settings = from_mapping(os.environ)
    path = path_of(settings.database_url)
    documents = signed_documents(path, since_ms=wanted.since_ms, every=wanted.every, most=most)
    if not documents.statements:
        note = "nothing was signed yet: the first document is made when a licence is valid"
        return Exported((), (note,))
    now_s = clock_from(os.environ).now_ms() // 1000
    return make_export(documents, wanted, key_ring(settings), now_s)


def _keep(directory: Path, wanted: Wanted) -> None:
    if wanted != Wanted():
        raise typer.BadParameter(
            "--directory keeps everything that waits: without names, -n, --since and --all"
        )
    if not beside_ledger():
        raise typer.BadParameter(
            "--directory works where the ledger is: in the pod of manifests/components/export. Use "
            "-o here"
        )
    made = _from_ledger(wanted, MOST_CHARACTERS)
    path = path_of(from_mapping(os.environ).database_url)
    now = show_time(clock_from(os.environ).now_ms() // 1000).replace(":", "")
    done = keep_folder(directory, made.bundles, lambda digests: settled(path, digests), now)
    _say((*made.notes, *done.notes))
    _say_tidied(done, made.bundles)


def _say_tidied(done: Tidied, bundles: Sequence[MadeBundle]) -> None:
    for pruned in done.pruned:
        typer.echo(f"removed {pruned}: the vendor has signed for every document in it")
    for file in done.written:
        typer.echo(f"wrote {file}: {described(file.read_text('ascii'))}")
    for known in done.known:
        typer.echo(f"kept {known}: it holds what waits")
    if not bundles:
        typer.echo("nothing waits: nothing to write")


def _out_of_pod(pod: OperatorPod, arguments: Sequence[str]) -> tuple[MadeBundle, ...]:
    with TemporaryFile() as archive:
        run_in_pod(pod, arguments, stdout=archive)
        archive.seek(0)
        return _unarchived(archive)


def _arguments(wanted: Wanted, since: str | None) -> list[str]:
    arguments = ["report", "export", "--tar"]
    arguments += ["--all"] if wanted.every else []
    arguments += [f"--since={since}"] if since is not None else []
    arguments += [f"--namespace={wanted.namespace}"] if wanted.namespace is not None else []
    return [*arguments, "--", *wanted.names]


def _archive(bundles: Sequence[MadeBundle], out: BinaryIO) -> None:
    end = MadeBundle(_END, "")
    with tarfile.open(fileobj=out, mode="w|") as archive:
        for bundle in (*bundles, end):
            data = bundle.data.encode("ascii")
            member = tarfile.TarInfo(bundle.name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))


def _unarchived(archive: BinaryIO) -> tuple[MadeBundle, ...]:
    """Return the bundles of an archive; a connection that was cut must not pass for a whole one.

    Raises:
        Retryable: ``BundleInvalid``.
    """
    bundles: list[MadeBundle] = []
    try:
        with tarfile.open(fileobj=archive, mode="r:") as members:
            for member in members:
                if member.name == _END:
                    return tuple(bundles)
                file = members.extractfile(member)
                data = file.read().decode("ascii") if file is not None else ""
                whole(data)
                bundles.append(MadeBundle(Path(member.name).name, data))
    except (tarfile.TarError, UnicodeDecodeError, Refused):
        pass  # told below, as an archive without its end
    raise Retryable(
        Reason.BUNDLE_INVALID,
        "What came out of the operator's pod is not whole: the connection was cut, or the operator "
        "is of another version. Nothing was written; try again.",
    )


def _write(bundles: Sequence[MadeBundle], target: str) -> None:
    """Write the bundles where they are wanted, and say what they hold."""
    if not bundles:
        typer.echo("nothing waits: nothing to write (see --all)", err=True)
        return
    folder = target != "-" and (Path(target).is_dir() or target.endswith("/"))
    if len(bundles) > 1 and not folder:
        raise Stalled(
            Reason.AMBIGUOUS,
            f"This makes {len(bundles)} files ({', '.join(bundle.name for bundle in bundles)}): "
            f"name an existing folder with -o, or fewer LicenseUsages.",
        )
    for bundle in bundles:
        if target == "-":
            typer.echo(bundle.data, nl=False)
            typer.echo(described(bundle.data), err=True)
            continue
        path = Path(target) / bundle.name if folder else Path(target)
        write_whole(path, bundle.data.encode("ascii"))
        typer.echo(f"wrote {path}: {described(bundle.data)}", err=True)


def _say(notes: Sequence[str]) -> None:
    for note in notes:
        typer.echo(f"note: {note}", err=True)
