"""Is this ledger the newest there was? What the cluster still holds of an object's reports tells.

A ledger restored from an old backup, or lost and begun anew, would sign positions of a chain for a
second time: two histories under one name. Reports are kept as objects in the cluster, each with its
receipt, and whatever is signed by our own key, or names the vendor's head in a receipt of the
vendor's, must be in the ledger. If it is not, the chain is stopped (REPORT_FORMAT §11): counting
goes on and nothing more is signed. Where the objects hold all that is missing, it is taken over,
and the chain goes on; else a person decides.
"""

from collections.abc import Mapping, Sequence

import structlog

from licenseusage.controller.effects.gatherer import Gatherer
from licenseusage.controller.rules.evidence import (
    KnownReport,
    chain_named,
    contradictions,
    evidence,
    own_reports,
)
from licenseusage.controller.rules.issuer import Context, chain_of, installation_of
from licenseusage.controller.rules.rebuilding import by_chain, rebuilt
from licenseusage.controller.steps.world import World
from licenseusage.errors import UsageError
from licenseusage.ledger.documents.records import (
    HISTORY_LOST,
    ReportChain,
)
from licenseusage.ledger.documents.recovering import NotWholeError
from licenseusage.ledger.ledger import Ledger
from licenseusage.reports.keyring import KeyRing
from licenseusage.reports.licence import License, stored_license
from licenseusage.reports.names import jti_of
from licenseusage.reports.refused import Refused

_log = structlog.get_logger(__name__)
_AGAIN_SECONDS = 600.0
_HOUR_MS = 3_600_000


async def look(
    world: World,
    context: Context,
    signing: KeyRing,
    known: Gatherer,
    now_ms: int,
    loop_s: float,
) -> None:
    """Compare an object's reports in the cluster with the ledger, and complete that if it can be.

    Once in a process; while a chain is stopped, every ten minutes and when an administrator asks:
    somebody may have applied the reports again. What contradicts the ledger stops its chain,
    durably, and is remembered for the condition.

    Raises:
        UsageError: The reports cannot be listed, so that nothing may be signed yet; or the ledger
            cannot be read or written.
    """
    memory = world.memory(context.key)
    stopped = any(chain.stopped == HISTORY_LOST for chain in known.facts.chains.values())
    again = context.requested or loop_s - memory.history_at_s >= _AGAIN_SECONDS
    if memory.history_known and not (stopped and again):
        return
    live = await world.objects.live(context.key)
    usable = None if isinstance(context.vendor_keys, UsageError) else context.vendor_keys
    keys = signing.public_keys()
    reports = own_reports(live, keys, usable or {}, foreign=_warn)
    seen = await _compare(known, reports, now_ms)
    for chain, what in seen.items():
        _log.error(
            "the ledger is older than its reports", object=str(context.key), chain=chain, seen=what
        )
    holes: dict[str, str] = {}
    # Without the vendor's keys the receipts have not been looked at.
    if usable is not None:
        holes = await _complete(world, context, signing, known, reports, now_ms)
    memory.history = {chain: what for chain, what in seen.items() if _stopped(known, chain)}
    memory.holes = holes
    memory.history_known, memory.history_at_s = usable is not None, loop_s


async def _compare(
    known: Gatherer, reports: Mapping[str, KnownReport], now_ms: int
) -> dict[str, str]:
    """Stop the chains that the ledger does not hold the newest document of; say what was seen."""
    documents = evidence(reports)

    def compare(ledger: Ledger) -> dict[str, str]:
        against = contradictions(
            documents, lambda chain_id, at: _ledger_digest(ledger, chain_id, at)
        )
        for missing in against:
            ledger.stop_chain(
                missing.chain.id,
                missing.reason,
                now_ms,
                key_chain_id=missing.chain.key_chain_id,
                lost=missing.link,
            )
        return {missing.chain.id: missing.seen for missing in against}

    return await known.do(compare)


async def _complete(
    world: World,
    context: Context,
    signing: KeyRing,
    known: Gatherer,
    reports: Mapping[str, KnownReport],
    now_ms: int,
) -> dict[str, str]:
    """Take over what the objects hold of stopped chains; return of which not, and why."""
    holes: dict[str, str] = {}
    licenses = _licenses(context, signing, known)
    for chain_id, of_chain in by_chain(reports).items():
        chain, license_ = chain_named(of_chain[0].sent), licenses.get(chain_id)
        if license_ is None or not _lost(known, chain):
            continue
        try:
            taken = await _complete_one(known, chain, of_chain, license_, signing, now_ms)
        except Refused as refused:
            holes[chain_id] = refused.message
        except NotWholeError as error:
            holes[chain_id] = str(error)
        else:
            world.memory(context.key).statements.clear()
            world.memory(context.key).judged.clear()
            _log.warning(
                "the chain was completed from the reports in the cluster",
                object=str(context.key),
                chain=chain_id,
                taken_over=taken,
            )
    return holes


async def _complete_one(
    known: Gatherer,
    chain: ReportChain,
    of_chain: Sequence[KnownReport],
    license_: License,
    signing: KeyRing,
    now_ms: int,
) -> int:
    """Complete a chain; return how many reports were taken over.

    Raises:
        Refused: The reports are not the whole chain.
        NotWholeError: The ledger contradicts them.
        UsageError: The ledger cannot be read or written.
    """
    meter_id, interim_ms = known.facts.meter.id, license_.interval_hours * _HOUR_MS
    keys = signing.public_keys()

    def complete(ledger: Ledger) -> int:
        documents = rebuilt(
            ledger.chain(chain.id),
            ledger.key_statements(chain.id),
            of_chain,
            license_=license_,
            keys=keys,
            now_s=now_ms // 1000,
        )
        ledger.take_over(meter_id, chain, documents, now_ms, interim_ms=interim_ms)
        return len(documents)

    return await known.do(complete)


def _lost(known: Gatherer, chain: ReportChain) -> bool:
    """Whether a part of a chain is lost; of one that is not known, its subscription tells."""
    state = known.facts.chains.get(chain.id)
    if state is not None and (state.head is not None or state.stopped is not None):
        return state.stopped == HISTORY_LOST
    enrolled = known.facts.chains.get(chain.key_chain_id)
    return enrolled is not None and enrolled.stopped == HISTORY_LOST


def _licenses(context: Context, signing: KeyRing, known: Gatherer) -> dict[str, License]:
    """Return a licence of each chain that the object's reports may be in."""
    licenses = [stored_license(token) for token in known.facts.meter.licenses.values()]
    licenses += [] if context.license is None else [context.license]
    ids = [(each, installation_of(signing, each)) for each in licenses]
    return {chain_of(each, known_as, *context.key).id: each for each, known_as in ids}


def _stopped(known: Gatherer, chain_id: str) -> bool:
    state = known.facts.chains.get(chain_id)
    return state is None or state.stopped is not None


def _ledger_digest(ledger: Ledger, chain_id: str, sequence: int) -> str | None:
    item = ledger.document(jti_of(chain_id, sequence))
    return None if item is None else item.digest


def _warn(name: str, refused: Refused) -> None:
    _log.warning("report of another key", report=name, reason=refused.reason)
