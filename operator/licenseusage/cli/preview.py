"""``licenseusage report preview``: what the next report would state, before it is signed.

It runs where the ledger is, by the operator's own rules; anywhere else the command runs itself in
the operator's pod.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass

import typer

from licenseusage.cli.inpod import (
    ContextOption,
    KubeconfigOption,
    NameArgument,
    NamespaceOption,
    OperatorNamespaceOption,
    OperatorPod,
    beside_ledger,
    run_in_pod,
)
from licenseusage.cli.looking import look, unforeseen
from licenseusage.cli.output import print_json
from licenseusage.clock import clock_from
from licenseusage.controller.rules.approval import MANUAL
from licenseusage.controller.rules.declared import declared
from licenseusage.controller.rules.interims import interims_made
from licenseusage.controller.rules.issuer import Issuer, chain_of, installation_of, issuer_of
from licenseusage.controller.rules.key import Key
from licenseusage.controller.rules.preview import Seen, context_of, next_cycle_of
from licenseusage.controller.rules.withheld import WITHHELD
from licenseusage.controller.settings import Settings, from_mapping
from licenseusage.errors import Stalled
from licenseusage.ledger.documents.exporting import opened
from licenseusage.ledger.documents.previewing import LedgerView
from licenseusage.ledger.documents.records import ReportChain, ReportKind
from licenseusage.ledger.records import Meter, MeterKey
from licenseusage.ledger.storage.database import path_of
from licenseusage.reasons import Reason
from licenseusage.reports.licence import stored_license


def preview(
    name: NameArgument,
    *,
    namespace: NamespaceOption,
    operator_namespace: OperatorNamespaceOption = "licenseusage-system",
    context: ContextOption = None,
    kubeconfig: KubeconfigOption = None,
) -> None:
    """Print every claim of the next report, as JSON, before it is signed.

    The operator's own code makes the claims from its ledger, as if the report were due now: an
    interim of the running cycle as of the newest poll, or the final of a cycle that has ended.
    Nothing is signed, sent or written. Until the report is made, the numbers, the times and its
    place in the chain may still change; names of claims do not.

    The command runs in the operator's pod by kubectl exec, with your own rights.

    Exit code 0: printed. 3: there is no such report, or it could not be determined.

    Examples:
        kubectl licenseusage report preview opencloud -n opencloud

        kubectl licenseusage report preview opencloud -n opencloud | jq .dailyActiveUsers
    """
    if not beside_ledger():
        pod = OperatorPod(operator_namespace, context, kubeconfig)
        arguments = ["report", "preview", f"--namespace={namespace}", "--", name]
        typer.echo(run_in_pod(pod, arguments).decode(), nl=False)
        return
    settings, clock = from_mapping(os.environ), clock_from(os.environ)
    seen, _ = look(settings, Key(namespace, name), clock)
    made = previewed(settings, seen, clock.now_ms())
    for note in made.notes:
        typer.echo(f"note: {note}", err=True)
    print_json(made.claims)


@dataclass(frozen=True, slots=True)
class Preview:
    """The claims of the next report, and what to know about them."""

    claims: Mapping[str, object]
    notes: tuple[str, ...]


def previewed(settings: Settings, seen: Seen, now_ms: int) -> Preview:
    """Return what the next report would state now.

    Args:
        settings: The operator's: where its ledger is.
        seen: What the cluster shows.
        now_ms: The time.

    Raises:
        UsageError: Why there is no such report, as the operator would say it.
    """
    key = seen.subject.key

    def chains(meter: Meter) -> list[ReportChain]:
        licenses = map(stored_license, meter.licenses.values())
        return [
            chain_of(license_, installation_of(seen.ring, license_), *key) for license_ in licenses
        ]

    with opened(path_of(settings.database_url)) as connection:
        view = LedgerView(connection)
        facts = view.facts(MeterKey(key.namespace, key.name, seen.usage.spec.product), chains)
        if facts is None:
            raise Stalled(
                Reason.NOTHING_DUE,
                f"LicenseUsage {key} is not in the ledger yet: the operator has not looked at it. "
                f"kubectl describe licenseusage -n {key.namespace} {key.name} says why.",
            )
        context = context_of(seen, declared(seen.usage, unforeseen, seen.shipped), facts, now_ms)
        cycle = next_cycle_of(facts, context.clock.counting_ms)
        issuer = issuer_of(context, facts, cycle)
        if issuer is None:
            raise Stalled(
                Reason.NO_LICENSE,
                f"LicenseUsage {key} has no valid licence for the cycle: it is counted, and "
                f"nothing is reported.",
            )
        if not isinstance(issuer, Issuer):
            raise issuer
        draft = view.next_draft(
            facts.meter.id,
            cycle,
            issuer.chain,
            context.counted.declared,
            context.counted.combine,
            context.clock.counting_ms,
        )
    notes = ["nothing was signed, sent or written; iat, asOf, counts and clock are those of now"]
    if draft.kind is ReportKind.FINAL:
        notes.append("signing may add the claim commitment: a digest of whom is counted, salted")
    if seen.usage.spec.suspend == "Reporting":
        notes.append("spec.suspend is Reporting: this report is not made until it is None")
    reporting = seen.usage.spec.reporting
    if reporting is not None and reporting.approval == MANUAL:
        notes.append("it will wait for approval (spec.reporting.approval is Manual)")
    wanted = reporting is None or reporting.interims != WITHHELD
    if draft.kind is ReportKind.INTERIM and not interims_made(issuer.license, wanted=wanted):
        notes.append(
            "no interim is made (spec.reporting.interims is Withheld): the cycle's final is next"
        )
    return Preview(issuer.claims(draft), tuple(notes))
