"""``licenseusage report preview``: what the next report would state, before it is signed.

It runs where the ledger is, by the operator's own rules; anywhere else the command runs itself in
the operator's pod.
"""

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import typer

from licenseusage import __version__
from licenseusage.cli.inpod import (
    ContextOption,
    KubeconfigOption,
    OperatorNamespaceOption,
    OperatorPod,
    beside_ledger,
    run_in_pod,
)
from licenseusage.cli.output import print_json
from licenseusage.clock import SystemClock, clock_from
from licenseusage.controller.rules.declared import declared
from licenseusage.controller.rules.issuer import Issuer, Site, chain_of, installation_of, issuer_of
from licenseusage.controller.rules.key import Key
from licenseusage.controller.rules.preview import Seen, context_of, next_cycle_of
from licenseusage.controller.rules.subject import Subject
from licenseusage.controller.settings import Settings, from_mapping
from licenseusage.errors import Failure, Retryable, Stalled, UsageError
from licenseusage.ledger.documents.exporting import opened
from licenseusage.ledger.documents.previewing import LedgerView
from licenseusage.ledger.documents.records import ReportChain
from licenseusage.ledger.records import Meter, MeterKey
from licenseusage.ledger.storage.database import path_of
from licenseusage.reasons import Reason
from licenseusage.reports.content import OperatorInfo
from licenseusage.reports.fitting import report_version
from licenseusage.reports.licence import stored_license


def preview(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the LicenseUsage.")],
    *,
    namespace: Annotated[
        str, typer.Option("--namespace", "-n", metavar="NS", help="Its namespace.")
    ],
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
    seen = _look(settings, Key(namespace, name), clock)
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
        context = context_of(seen, declared(seen.usage, _unforeseen), facts, now_ms)
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
    if seen.usage.spec.suspend == "Reporting":
        notes.append("spec.suspend is Reporting: this report is not made until it is None")
    return Preview(issuer.claims(draft), tuple(notes))


def _look(settings: Settings, key: Key, clock: SystemClock) -> Seen:
    """Read what the cluster shows, as the operator does.

    Raises:
        Stalled: There is no such object, or a key or a right is missing.
        Retryable: ``APIUnavailable``.
    """
    # The clients of Kubernetes take half a second to load; other commands do without.
    from licenseusage.controller.effects.clusterid import cluster_of
    from licenseusage.controller.effects.identity import Keys, Names
    from licenseusage.controller.effects.kube import Kube, KubeError, NotFoundError
    from licenseusage.controller.effects.secrets import SecretReader
    from licenseusage.controller.rules.resources import USAGES
    from licenseusage.reports.keys import generate_key

    names = Names(settings.operator_namespace, settings.identity_secret, settings.pseudonym_secret)
    own = {(names.namespace, names.identity), (names.namespace, names.pseudonym)}

    async def read() -> Seen:
        kube = await Kube.connect()
        try:
            subject = Subject.read(key, await kube.get(USAGES, key.namespace, key.name))
            if isinstance(subject.usage, UsageError):
                raise subject.usage
            reader, loop = SecretReader(kube, own), asyncio.get_running_loop()
            keys = Keys(kube, reader, names, new_signing_key=generate_key, random_bytes=bytes)
            ring, pseudonym = await keys.ring(loop.time()), await keys.pseudonym_key(loop.time())
            cluster, reference = await cluster_of(kube), kube.reference_seconds()
            version = report_version(__version__, simulated_clock=clock.simulated)
            machine = clock.now_ms() / 1000 - clock.offset_seconds
            return Seen(
                subject=subject,
                usage=subject.usage,
                ring=ring,
                key_id=pseudonym.id,
                site=Site(
                    OperatorInfo(version, cluster),
                    None if reference is None else round(reference - machine),
                    f"{names.namespace}/{names.identity}",
                ),
                roster_gap_ms=1000 * settings.roster_gap_seconds,
            )
        finally:
            await kube.close()

    try:
        return asyncio.run(read())
    except NotFoundError:
        raise Stalled(
            Reason.NO_DOCUMENT,
            f"There is no LicenseUsage {key}: kubectl get licenseusage -A lists all of them.",
        ) from None
    except KubeError as error:
        raise Retryable(Reason.API_UNAVAILABLE, f"{error}.") from None


def _unforeseen(error: Exception, doing: str) -> Failure:
    raise error
