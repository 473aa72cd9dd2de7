"""Is this ledger the newest there was? What the cluster still holds of an object's reports tells.

A ledger restored from an old backup, or lost and begun anew, would sign positions of a chain for a
second time: two histories under one name. Reports are kept as objects in the cluster, each with its
receipt, and whatever is signed by our own key, or names the vendor's head in a receipt of the
vendor's, must be in the ledger. If it is not, the chain is stopped (REPORT_FORMAT §11): counting
goes on, nothing more is signed, and a person decides.
"""

import structlog

from licenseusage.controller.effects.gatherer import Works
from licenseusage.controller.rules.evidence import contradictions, evidence
from licenseusage.controller.rules.key import Key
from licenseusage.controller.steps.world import World
from licenseusage.errors import UsageError
from licenseusage.ledger.ledger import Ledger
from licenseusage.reports.keyring import KeyRing
from licenseusage.reports.keys import VendorKeys
from licenseusage.reports.names import jti_of
from licenseusage.reports.refused import Refused

_log = structlog.get_logger(__name__)


async def look(
    world: World,
    books: Works,
    key: Key,
    signing: KeyRing,
    vendor_keys: VendorKeys | UsageError,
    now_ms: int,
) -> None:
    """Compare an object's reports in the cluster with the ledger, once in a process.

    What contradicts the ledger stops its chain, durably, and is remembered for the condition.

    Raises:
        UsageError: The reports cannot be listed, so that nothing may be signed yet; or the ledger
            cannot be read.
    """
    memory = world.memory(key)
    if memory.history_known:
        return
    live = await world.objects.live(key)
    usable = None if isinstance(vendor_keys, UsageError) else vendor_keys
    documents = evidence(live, signing, usable or {}, foreign=_warn)

    def compare(ledger: Ledger) -> dict[str, str]:
        against = contradictions(
            documents, lambda chain_id, at: _ledger_digest(ledger, chain_id, at)
        )
        for missing in against:
            ledger.stop_chain(
                missing.chain.id, missing.reason, now_ms, key_chain_id=missing.chain.key_chain_id
            )
        return {missing.chain.id: missing.seen for missing in against}

    memory.history = await books.do(compare)
    # Without the vendor's keys the receipts have not been looked at.
    memory.history_known = usable is not None
    for seen in memory.history.values():
        _log.error("the ledger is older than its reports", object=str(key), seen=seen)


def _ledger_digest(ledger: Ledger, chain_id: str, sequence: int) -> str | None:
    item = ledger.document(jti_of(chain_id, sequence))
    return None if item is None else item.digest


def _warn(name: str, refused: Refused) -> None:
    _log.warning("report of another key", report=name, reason=refused.reason)
