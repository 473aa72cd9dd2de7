"""kopf, reduced to what it does best: a watch that survives, feeding a queue.

Low-level event handlers that write nothing: no finalizers, no annotations, no timers, no index.
Everything else is `reconcile`'s, level-based.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import kopf

from licenseusage.controller.effects.receipts import Receipts
from licenseusage.controller.effects.watched import Watched
from licenseusage.controller.process.login import connection
from licenseusage.controller.rules.key import Key, ReceiptsKey
from licenseusage.controller.rules.resources import RECEIPTS, USAGES

LOGIN_MINUTES = 10


def registry(
    add: Callable[[Key], None], watched: Watched, receipts: Receipts
) -> kopf.OperatorRegistry:
    """Return the handlers: a login that expires, and two that put keys into the queue.

    An explicit registry, so that importing this module has no effect.

    Args:
        add: Takes the key of each LicenseUsage that changed.
        watched: Takes what the watch tells of it.
        receipts: The same for UsageReceipts.
    """
    handlers = kopf.OperatorRegistry()

    @kopf.on.login(id="login", registry=handlers)
    def login(**_: object) -> kopf.ConnectionInfo:
        # A bound token rotates hourly and is read only here, so the login expires well before that.
        expiry = datetime.now(UTC) + timedelta(minutes=LOGIN_MINUTES)
        return replace(connection(), expiration=expiry)

    @kopf.on.event(
        USAGES.group, USAGES.version, USAGES.plural, id="licenseusage", registry=handlers
    )
    async def nudge(namespace: str | None, name: str, event: kopf.RawEvent, **_: object) -> None:
        key = Key(namespace or "", name)
        if event["type"] == "DELETED":
            watched.gone(key)
            add(key)
        elif watched.streamed(key, event["object"]):
            add(key)

    @kopf.on.event(
        RECEIPTS.group, RECEIPTS.version, RECEIPTS.plural, id="usagereceipt", registry=handlers
    )
    async def nudge_receipts(
        namespace: str | None, name: str, event: kopf.RawEvent, **_: object
    ) -> None:
        at = Key(namespace or "", name)
        if event["type"] == "DELETED":
            receipts.watched.gone(at)
            receipts.nudge(ReceiptsKey(at))
        elif receipts.watched.streamed(at, event["object"]):
            receipts.nudge(ReceiptsKey(at))

    return handlers


def settings() -> kopf.OperatorSettings:
    """Return kopf's settings; where a line differs from kopf's default, it says why."""
    s = kopf.OperatorSettings()
    s.peering.standalone = True  # peers pause each other; leadership is the ledger's lock
    s.scanning.disabled = True  # neither cluster-wide rights nor a start that is 54 s late
    s.posting.enabled = False  # our own events
    s.persistence.finalizer = "licenseusage.dev/kopf"  # unused; never kopf's own brand
    s.persistence.progress_storage = kopf.AnnotationsProgressStorage(
        prefix="licenseusage.dev", v1=False
    )
    s.watching.chunk_size = 500
    s.watching.server_timeout, s.watching.client_timeout = 290, 310
    s.watching.connect_timeout, s.watching.reconnect_backoff = 30, 1.0
    s.networking.request_timeout, s.networking.connect_timeout = 30, 10
    # 10 minutes instead of 54 s before an API server's outage ends this process.
    s.networking.error_backoffs = (1, 2, 4, 8, 16, *[30] * 19)
    s.process.ultimate_exiting_timeout = 25  # below the pod's grace period of 30 s
    return s
