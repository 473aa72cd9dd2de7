"""``licenseusage report import``: the vendor's receipts become UsageReceipts in their namespaces.

The operator verifies them; here they are only sorted.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

from licenseusage.cli.documents import Bundle, GivenDocument, read_given
from licenseusage.cli.exits import NOT_OK
from licenseusage.cli.kubectl import ContextOption, KubeconfigOption, Kubectl
from licenseusage.cli.output import print_table
from licenseusage.cli.receiptsfolder import files_in
from licenseusage.cli.reimporting import lines_of, taken_out
from licenseusage.errors import Stalled
from licenseusage.reasons import Reason
from licenseusage.reports.names import key_chain_id
from licenseusage.reports.receipt import Receipt, Sent, stored_receipt
from licenseusage.reports.receiptsfile import usage_receipts, usage_receipts_yaml
from licenseusage.reports.refused import Refused, need
from licenseusage.reports.typs import MAX_CHARACTERS, RECEIPT, REPORT

FIELD_MANAGER = "licenseusage-import"
# Of 64 octets: a file that is still being written ends within a signature.
_SIGNATURE_CHARACTERS = 86
_FORM = re.compile(rf"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{{{_SIGNATURE_CHARACTERS}}}")
_REPORTS = "usagereports.licenseusage.dev"


@dataclass(slots=True)
class Places:
    """Which namespaces the documents of the cluster's chains are of.

    Attributes:
        chains: Chain of reports -> its namespace.
        key_chains: Chain of key statements -> the namespaces whose reports need them.
    """

    chains: dict[str, str] = field(default_factory=dict)
    key_chains: dict[str, set[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, reports: Iterable[Mapping[str, Any]]) -> "Places":
        """Learn from the UsageReports of a cluster; what is no report of ours says nothing."""
        places = cls()
        for report in reports:
            try:
                sent = Sent.from_token(str((report.get("spec") or {}).get("token")))
            except Refused:
                continue
            namespace = str((report.get("metadata") or {}).get("namespace"))
            places.chains[sent.chain_id] = namespace
            keys = key_chain_id(
                vendor=sent.vendor, installation=sent.installation, subscription=sent.subscription
            )
            places.key_chains.setdefault(keys, set()).add(namespace)
        return places

    def namespaces(self, receipt: Receipt) -> list[str]:
        """Return where a receipt belongs; empty: nothing here is known of its document's chain."""
        if receipt.subject.typ != REPORT:
            return sorted(self.key_chains.get(receipt.chain_id, ()))
        namespace = self.chains.get(receipt.chain_id)
        return [] if namespace is None else [namespace]


@dataclass(frozen=True, slots=True)
class Sorted:
    """Receipts, sorted into objects.

    Attributes:
        objects: UsageReceipts.
        problems: What is in no object, and why; a sentence each.
    """

    objects: Sequence[Mapping[str, Any]]
    problems: Sequence[str]


def sort(documents: Iterable[GivenDocument], places: Places) -> Sorted:
    """Sort receipts into UsageReceipts; their signatures are the operator's business."""
    pairs: list[tuple[str | None, str]] = []
    problems = []
    for document in documents:
        try:
            # The API server would refuse the object with all its receipts.
            need(_FORM.fullmatch(document.token), Reason.MALFORMED_TOKEN, "damaged, or cut")
            need(len(document.token) <= MAX_CHARACTERS[RECEIPT], Reason.TOO_LARGE)
            receipt = stored_receipt(document.token)
        except Refused as refused:
            problems.append(
                f"{document.source} is not a receipt: {refused.message} ({refused.reason}). Get "
                f"the vendor's file again, and import it as it is."
            )
            continue
        namespaces = places.namespaces(receipt)
        pairs += [(namespace, document.token) for namespace in namespaces]
        if not namespaces:
            problems.append(
                f"{document.source} is for {receipt.subject.jti} of installation "
                f"{receipt.installation}: no UsageReport of that chain is here. Import it in the "
                f"cluster that made the report (--context), or restore the UsageReports first."
            )
    return Sorted(usage_receipts(pairs), problems)


def import_receipts(
    file: Annotated[
        str | None,
        typer.Argument(
            metavar="FILE", help="Receipts file, or UsageReceipts (YAML, JSON); - is stdin."
        ),
    ] = None,
    *,
    directories: Annotated[
        list[Path] | None,
        typer.Option(
            "--directory",
            metavar="DIR",
            help="Import every file of a folder, instead of FILE. For a CronJob. Repeatable.",
        ),
    ] = None,
    namespace: Annotated[
        str | None,
        typer.Option(
            "--namespace",
            "-n",
            metavar="NS",
            help="Only this namespace; without it, all that have UsageReports.",
        ),
    ] = None,
    with_reports: Annotated[
        bool,
        typer.Option(
            "--reports",
            help="Make UsageReports of the reports in the file, too: of an earlier bundle, or of "
            "the vendor's history. The operator completes a chain from them whose ledger was lost.",
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the objects as YAML; apply nothing.")
    ] = False,
    context: ContextOption = None,
    kubeconfig: KubeconfigOption = None,
) -> None:
    """Import the vendor's receipts, so that their reports count as delivered.

    Receipts become UsageReceipts in the namespaces of their reports, which are found by kubectl
    get usagereports, and are applied by kubectl, both with your own rights. The operator verifies
    them with the vendor's keys; kubectl get usagereceipts shows what became of each. To import the
    same file again is harmless. In a pod no kubectl is needed.

    With GitOps, commit what --dry-run prints: the operator does the rest.

    With --directory, each file is imported by itself. It is neither changed nor removed, hidden
    files (.NAME) and what links out of the folder are not read, and a file that is still being
    written is taken as far as its lines are whole.
    After a loss, --reports brings back reports from a file as well: from bundles that were exported
    before, or from the vendor's history. Only those that are not in the cluster are made.

    Exit code 0: every receipt is in an object. 1: some are not, and are named; the others are.
    3: the file or the cluster could not be read, or nothing could be applied.

    Examples:
        kubectl licenseusage report import receipts.txt

        kubectl licenseusage report import receipts.txt --dry-run > receipts.yaml

        curl -H "content-type: text/plain" --data-binary @acme.usage-bundle
            https://usage.vendor.example/v1/bundles | kubectl licenseusage report import -

        licenseusage report import --directory /receipts
    """
    if (file is None) == (not directories):
        raise typer.BadParameter("give either FILE or --directory DIR")
    kubectl = Kubectl(context, kubeconfig)
    if file is not None:
        given = _given(file, with_reports=with_reports)
        reports, brought = _listed(kubectl, namespace), list[Mapping[str, Any]]()
        if with_reports:
            brought, given = taken_out(given, reports, namespace)
        result = sort(given, Places.of([*reports, *brought]))
        result = Sorted([*brought, *result.objects], result.problems)
    else:
        result = _sort_folders(directories or (), kubectl, namespace)
    for problem in result.problems:
        typer.echo(f"Not imported: {problem}", err=True)
    if dry_run and result.objects:
        typer.echo(usage_receipts_yaml(result.objects), nl=False)
    elif result.objects:
        kubectl.apply(result.objects, FIELD_MANAGER)
        _show(result.objects)
        typer.echo(
            f"{len(result.objects)} applied. What became of them: kubectl get usagereceipts -A"
        )
    if result.problems:
        raise typer.Exit(NOT_OK)
    if not result.objects:
        seen = "Every report in the file is in the cluster" if with_reports else "No receipts there"
        typer.echo(f"{seen}: nothing to import.")


def _given(file: str, *, with_reports: bool) -> list[GivenDocument]:
    given = read_given(file)
    if isinstance(given, Bundle):
        if not with_reports:
            raise Stalled(
                Reason.NO_DOCUMENT,
                f"{given.source} is a bundle: it goes to the vendor, whose answer is the receipts "
                f"file to import. After a loss, --reports brings its reports back.",
            )
        return lines_of(given)
    return given


def _listed(kubectl: Kubectl, namespace: str | None) -> list[dict[str, Any]]:
    return kubectl.list(_REPORTS, namespace, everywhere=namespace is None)


def _sort_folders(folders: Iterable[Path], kubectl: Kubectl, namespace: str | None) -> Sorted:
    """Sort each file by itself: another file beside it must not make other objects of it."""
    objects: dict[tuple[str, str], Mapping[str, Any]] = {}
    files = [file for folder in folders for file in files_in(folder)]
    problems = [file.problem for file in files if file.problem is not None]
    if any(file.documents for file in files):
        places = Places.of(_listed(kubectl, namespace))
        for file in files:
            result = sort(file.documents, places)
            problems += result.problems
            for made in result.objects:
                # The same file in two folders makes the same object.
                objects[made["metadata"]["namespace"], made["metadata"]["name"]] = made
    return Sorted(list(objects.values()), problems)


def _show(objects: Sequence[Mapping[str, Any]]) -> None:
    print_table(
        ["NAMESPACE", "KIND", "NAME", "RECEIPTS"],
        [
            (
                made["metadata"]["namespace"],
                made["kind"],
                made["metadata"]["name"],
                len(made["spec"].get("receipts", ())) or "",
            )
            for made in objects
        ],
    )
