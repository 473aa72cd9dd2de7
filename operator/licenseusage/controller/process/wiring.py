"""The wiring of the operator's surroundings: the one place that joins its parts into a `World`.

The process calls it with the real cluster, clock and vendor, `trials` with simulated ones.
"""

from collections.abc import Callable

from licenseusage.clock import SystemClock
from licenseusage.controller.effects.books import Books
from licenseusage.controller.effects.callers import Callers
from licenseusage.controller.effects.collection import Collector
from licenseusage.controller.effects.deliveries import Deliveries
from licenseusage.controller.effects.dependencies import Dependencies
from licenseusage.controller.effects.endpoints import EndpointBook
from licenseusage.controller.effects.events import Events
from licenseusage.controller.effects.histories import VendorHistories
from licenseusage.controller.effects.identity import Keys, Names
from licenseusage.controller.effects.intake import Intake
from licenseusage.controller.effects.kube import Kube
from licenseusage.controller.effects.metrics import Metrics
from licenseusage.controller.effects.published import PublishedStatements
from licenseusage.controller.effects.reaching import Finder
from licenseusage.controller.effects.receipts import Receipts
from licenseusage.controller.effects.reportobjects import ReportObjects
from licenseusage.controller.effects.secrets import SecretReader
from licenseusage.controller.effects.verdicts import Verdicts
from licenseusage.controller.rules.key import Key, ReceiptsKey
from licenseusage.controller.settings import Settings
from licenseusage.controller.steps.licensing import VendorKeysRef
from licenseusage.controller.steps.world import World
from licenseusage.delivery.vendor import VendorClient
from licenseusage.reports.content import OperatorInfo
from licenseusage.reports.keys import SigningKey
from licenseusage.sources.workers.workers import Workers


def wire(
    settings: Settings,
    *,
    clock: SystemClock,
    kube: Kube,
    books: Books,
    metrics: Metrics,
    workers: Workers,
    client: VendorClient,
    operator: OperatorInfo,
    nudge: Callable[[Key], None],
    new_signing_key: Callable[[], SigningKey],
    random_bytes: Callable[[int], bytes],
    permille: Callable[[], int],
    loopback_allowed: bool = False,
    nudge_receipts: Callable[[ReceiptsKey], None] | None = None,
) -> World:
    """Return the surroundings of one operator; nothing runs yet.

    Args:
        settings: Checked settings.
        clock: The one clock.
        kube: The cluster.
        books: The ledger behind its thread.
        metrics: What ``/metrics`` shows.
        workers: Make the polls.
        client: Speaks to the vendor.
        operator: Version and cluster, as reports state them.
        nudge: Puts an object's key into the queue.
        new_signing_key: Makes the installation's key, on a first start.
        random_bytes: Makes the key of the pseudonyms, on a first start.
        permille: A uniform draw from 0 to 999, new at each call.
        loopback_allowed: Permits pods on loopback addresses.
        nudge_receipts: Puts a UsageReceipt's key into the queue; None: there are none.
    """
    namespace = settings.operator_namespace
    own = (
        settings.identity_secret,
        settings.pseudonym_secret,
        settings.vendor_keys_configmap,
        settings.endpoints_configmap,
    )
    dependencies = Dependencies()
    reader = SecretReader(kube, {(namespace, name) for name in own}, dependencies.saw)
    keys = Keys(
        kube,
        reader,
        Names(namespace, settings.identity_secret, settings.pseudonym_secret),
        new_signing_key=new_signing_key,
        random_bytes=random_bytes,
        wrote=dependencies.wrote,
    )
    endpoints = EndpointBook(namespace, settings.endpoints_configmap)
    finder = Finder(kube, reader, endpoints, loopback_allowed=loopback_allowed)
    verdicts = Verdicts(nudge, Events(kube, settings.pod_name), clock)
    return World(
        settings=settings,
        clock=clock,
        kube=kube,
        books=books,
        reader=reader,
        keys=keys,
        events=verdicts.events,
        metrics=metrics,
        collector=Collector(finder, keys, books, workers, metrics, settings, clock, nudge=nudge),
        deliveries=Deliveries(
            books, client, clock, metrics, permille=permille, settled=verdicts.settled
        ),
        histories=VendorHistories(client, clock, metrics, nudge),
        objects=ReportObjects(kube, dependencies.saw),
        published=PublishedStatements(kube, namespace, settings.key_statements_configmap),
        vendor=VendorKeysRef(namespace, settings.vendor_keys_configmap),
        operator=operator,
        permille=permille,
        random_bytes=random_bytes,
        started_ms=clock.now_ms(),
        dependencies=dependencies,
        verdicts=verdicts,
        intake=Intake(
            books,
            keys,
            Callers(kube, settings.intake_audience),
            metrics,
            clock,
            nudge,
            random_bytes,
            on=settings.intake_host_port is not None,
            events_per_second=settings.intake_events_per_second,
        ),
        receipts=Receipts() if nudge_receipts is None else Receipts(nudge_receipts),
    )
