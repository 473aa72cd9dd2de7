"""``licenseusage report import``: the vendor's receipts become UsageReceipts in their namespaces.

The operator verifies them; here they are only sorted.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

import typer

from licenseusage.cli.documents import Bundle, GivenDocument, read_given
from licenseusage.cli.exits import NOT_OK
from licenseusage.cli.kubectl import ContextOption, KubeconfigOption, Kubectl
from licenseusage.cli.output import print_table
from licenseusage.errors import Stalled
from licenseusage.reasons import Reason
from licenseusage.reports.names import key_chain_id
from licenseusage.reports.receipt import Receipt, Sent, stored_receipt
from licenseusage.reports.receiptsfile import usage_receipts, usage_receipts_yaml
from licenseusage.reports.refused import Refused, need
from licenseusage.reports.typs import MAX_CHARACTERS, RECEIPT, REPORT

FIELD_MANAGER = "licenseusage-import"
_FORM = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+){2}")
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
            need(_FORM.fullmatch(document.token), Reason.MALFORMED_TOKEN)
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
        str,
        typer.Argument(
            metavar="FILE", help="Receipts file, or UsageReceipts (YAML, JSON); - is stdin."
        ),
    ],
    *,
    namespace: Annotated[
        str | None,
        typer.Option(
            "--namespace",
            "-n",
            metavar="NS",
            help="Only this namespace; without it, all that have UsageReports.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the UsageReceipts as YAML; apply nothing.")
    ] = False,
    context: ContextOption = None,
    kubeconfig: KubeconfigOption = None,
) -> None:
    """Import the vendor's receipts, so that their reports count as delivered.

    Receipts become UsageReceipts in the namespaces of their reports, which are found by kubectl
    get usagereports, and are applied by kubectl, both with your own rights. The operator verifies
    them with the vendor's keys; kubectl get usagereceipts shows what became of each. To import the
    same file again is harmless.

    With GitOps, commit what --dry-run prints: the operator does the rest.

    Exit code 0: every receipt is in an object. 1: some are not, and are named; the others are.
    3: the file or the cluster could not be read, or nothing could be applied.

    Examples:
        kubectl licenseusage report import receipts.txt

        kubectl licenseusage report import receipts.txt --dry-run > receipts.yaml

        curl -H "content-type: text/plain" --data-binary @acme.usage-bundle
            https://usage.vendor.example/v1/bundles | kubectl licenseusage report import -
    """
    given = read_given(file)
    if isinstance(given, Bundle):
        raise Stalled(
            Reason.NO_DOCUMENT,
            f"{given.source} is a bundle: it goes to the vendor, whose answer is the receipts file "
            f"to import.",
        )
    kubectl = Kubectl(context, kubeconfig)
    reports = kubectl.list(_REPORTS, namespace, everywhere=namespace is None)
    result = sort(given, Places.of(reports))
    if dry_run and result.objects:
        typer.echo(usage_receipts_yaml(result.objects), nl=False)
    elif result.objects:
        lines = kubectl.apply(result.objects, FIELD_MANAGER).splitlines()
        _show(result.objects)
        typer.echo(f"{len(lines)} applied. What became of them: kubectl get usagereceipts -A")
    for problem in result.problems:
        typer.echo(f"Not imported: {problem}", err=True)
    if result.problems:
        raise typer.Exit(NOT_OK)


def _show(objects: Sequence[Mapping[str, Any]]) -> None:
    print_table(
        ["NAMESPACE", "USAGERECEIPT", "RECEIPTS"],
        [
            (made["metadata"]["namespace"], made["metadata"]["name"], len(made["spec"]["receipts"]))
            for made in objects
        ],
    )
