"""Is this ledger the newest there was? What is signed and lies elsewhere tells, and completes it.

A ledger restored from an old backup, or lost and begun anew, would sign positions of a chain for a
second time: two histories under one name. Reports are kept as objects in the cluster, each with its
receipt, and whatever is signed by our own key, or named in a receipt of the vendor's, must be in
the ledger. If it is not, the chain is stopped (REPORT_FORMAT §11): counting
goes on and nothing more is signed. Then the vendor is asked for its history, where anything may be
sent to it, and is heard before anything is decided: the newest report may be there alone. Where all
that is known is one chain without a hole, it is taken over, and the chain goes on; else an
administrator decides, by `spec.reporting.adoptHead`. A vendor who cannot be reached holds up
neither.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace

import structlog

from licenseusage.controller.effects.gatherer import Gatherer
from licenseusage.controller.effects.histories import Question
from licenseusage.controller.effects.kube import ForbiddenError, KubeError, NotFoundError
from licenseusage.controller.rules.evidence import (
    KnownDocument,
    chain_named,
    contradictions,
    evidence,
    of_receipts,
    own_reports,
)
from licenseusage.controller.rules.issuer import Context, chain_of, installation_of, signer_of
from licenseusage.controller.rules.recovering import Recovering, why_stopped
from licenseusage.controller.rules.resources import RECEIPTS
from licenseusage.controller.steps.recovery import (
    Outside,
    ReportedChain,
    known_report,
    recover,
)
from licenseusage.controller.steps.rerouting import is_exporting
from licenseusage.controller.steps.world import World
from licenseusage.delivery.history import History
from licenseusage.errors import Failure, Retryable, UsageError
from licenseusage.ledger.documents.records import HISTORY_LOST, ReportChain
from licenseusage.ledger.ledger import Ledger
from licenseusage.reasons import Reason
from licenseusage.reports.bundle import Parties
from licenseusage.reports.keyring import KeyRing
from licenseusage.reports.keys import SigningKey, VendorKeys
from licenseusage.reports.licence import stored_license
from licenseusage.reports.names import digest, jti_of
from licenseusage.reports.receipt import Receipt, read_receipt, stored_receipt
from licenseusage.reports.refused import Refused
from licenseusage.reports.typs import REPORT

_log = structlog.get_logger(__name__)
_AGAIN_SECONDS = 600.0


async def look(
    world: World,
    context: Context,
    signing: KeyRing,
    known: Gatherer,
    now_ms: int,
    loop_s: float,
) -> None:
    """Compare what is known of an object's reports with the ledger, and complete that if it can be.

    Once in a process; while a chain is stopped, every ten minutes, when an administrator asks or
    names a head, and when the vendor has answered. What contradicts the ledger stops its chain,
    durably, and is remembered for the condition.

    Raises:
        UsageError: The reports cannot be listed, so that nothing may be signed yet; or the ledger
            cannot be read or written.
    """
    memory = world.memory(context.key)
    if memory.history_known and not _any_stopped(known):
        return  # nearly every reconcile
    chains = _chains(context, signing, known, now_ms)
    if memory.history_known and not any(_stopped(known, each.chain) for each in chains):
        return  # the mark at its key statements is for chains that have not begun
    answers = _answers(world, chains)
    again = context.requested or loop_s - memory.history_at_s >= _AGAIN_SECONDS
    if (
        memory.history_known
        and not again
        and _depends(context, known, answers) == memory.history_from
    ):
        return
    usable = None if isinstance(context.vendor_keys, UsageError) else context.vendor_keys
    outside = await _find(world, context, signing, known, chains, usable)
    stopped = {chain.id for chain in known.facts.chains.values() if chain.stopped}
    seen = await _compare(known, outside, now_ms)
    if seen.keys() - stopped:
        world.receipts.wake()  # one of them may have waited for this object
    for chain, what in seen.items():
        _log.error(
            "the ledger is older than its reports", object=str(context.key), chain=chain, seen=what
        )
    unresolved: dict[str, Recovering] = {}
    waits = False
    for reported in chains:
        chain_id = reported.chain.id
        if not _stopped(known, reported.chain):
            continue
        unresolved[chain_id] = Recovering(seen=seen.get(chain_id))
        # Without the vendor's keys the receipts have not been looked at.
        if usable is None or not _recoverable(known, reported.chain):
            continue
        if (
            _awaits_vendor(world, context, signing, known, reported, usable, loop_s)
            or world.histories.answer(chain_id) is not outside.vendor.get(chain_id)  # came since
        ):
            waits = True
            earlier = memory.history.get(chain_id, Recovering(asking=True))
            unresolved[chain_id] = replace(earlier, seen=seen.get(chain_id))
            continue
        recovered = await recover(world, context, known, reported, outside)
        if recovered is None:
            del unresolved[chain_id]
            world.histories.forget(chain_id)
            continue
        unresolved[chain_id] = replace(recovered, seen=seen.get(chain_id))
    memory.history = unresolved
    memory.history_known, memory.history_at_s = usable is not None, loop_s
    memory.history_from = None if waits else _depends(context, known, answers)


def _answers(world: World, chains: Sequence[ReportedChain]) -> tuple[History | Failure | None, ...]:
    return tuple(world.histories.answer(each.chain.id) for each in chains)


def _depends(
    context: Context, known: Gatherer, answers: tuple[History | Failure | None, ...]
) -> object:
    """Return what a look depends on, beside the objects in the cluster."""
    stopped = {(c.id, c.stopped, c.lost) for c in known.facts.chains.values() if c.stopped}
    return frozenset(stopped), context.adopt_head, answers


def _any_stopped(known: Gatherer) -> bool:
    return any(chain.stopped for chain in known.facts.chains.values())


async def _find(
    world: World,
    context: Context,
    signing: KeyRing,
    known: Gatherer,
    chains: Sequence[ReportedChain],
    usable: VendorKeys | None,
) -> Outside:
    """Read the UsageReports and receipts; while a chain is stopped, whatever else is known of it.

    Raises:
        UsageError: The objects cannot be listed.
    """
    foreign: dict[str, str] = {}
    live = await world.objects.live(context.key)

    def not_ours(name: str, refused: Refused) -> None:
        _log.warning("report of another key", report=name, reason=refused.reason)
        token = live[name].get("spec", {}).get("token")
        if isinstance(token, str) and token.isascii():
            foreign[digest(token)] = name

    keys = signing.public_keys()
    objects = own_reports(live, keys, usable or {}, foreign=not_ours)
    if usable is None:
        return Outside(objects, foreign=foreign)
    loose = await _receipts(world, context, usable, known, {each.chain.id for each in chains})
    if not _any_stopped(known):
        return Outside(objects, loose=tuple(loose), foreign=foreign)
    answers = {each.chain.id: world.histories.answer(each.chain.id) for each in chains}
    vendor = {chain_id: answer for chain_id, answer in answers.items() if answer is not None}
    brought = [answer for answer in vendor.values() if isinstance(answer, History)]
    loose += [receipt for answer in brought for receipt in answer.receipts]
    at_vendor = tuple(
        known_report(token) for answer in brought for token in answer.reports.values()
    )
    return Outside(objects, at_vendor, tuple(loose), foreign, vendor)


async def _receipts(
    world: World,
    context: Context,
    usable: VendorKeys,
    known: Gatherer,
    of_chains: Collection[str],
) -> list[Receipt]:
    """Return the verified receipts for reports of some chains in the namespace's UsageReceipts.

    An operator without rights for them, or without their CRD, reports all the same, as long as
    nothing is known to be lost.

    Raises:
        Retryable: They cannot be listed.
    """
    try:
        items = await world.kube.items(RECEIPTS, context.key.namespace)
    except KubeError as error:
        if isinstance(error, ForbiddenError | NotFoundError) and not _any_stopped(known):
            return []
        raise Retryable(Reason.API_UNAVAILABLE, f"{error}; it is tried again.") from None
    receipts = []
    for item in items:
        for token in item.get("spec", {}).get("receipts") or ():
            try:
                if stored_receipt(token).chain_id not in of_chains:
                    continue  # most are of other objects; verifying takes longer
                receipt = read_receipt(token, usable)
            except Refused:
                continue
            receipts += [receipt] if receipt.subject.typ == REPORT else []
    return receipts


async def _compare(known: Gatherer, outside: Outside, now_ms: int) -> dict[str, str]:
    """Stop the chains that the ledger does not hold the newest document of; say what was seen.

    A receipt for another report at a position that the ledger holds stops no chain by itself: the
    UsageReceipt says ``ReceiptMismatch``.
    """
    documents = evidence(outside.objects)
    documents += [
        KnownDocument(
            chain_named(each.sent),
            each.sent.subject.link,
            f"the vendor holds report {each.sent.subject.sequence}",
        )
        for each in outside.at_vendor
    ]

    def compare(ledger: Ledger) -> dict[str, str]:
        named = [
            document
            for document in of_receipts(outside.loose)
            if ledger.chain(document.chain.id).stopped is not None
            or _ledger_digest(ledger, document.chain.id, document.link.sequence) is None
        ]
        known_to_exist = [*documents, *named]
        aside = {d.chain.id: _set_aside(ledger, d.chain.id) for d in known_to_exist}
        against = contradictions(
            known_to_exist,
            lambda chain_id, at: _ledger_digest(ledger, chain_id, at),
            lambda chain_id: aside[chain_id],
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


def _awaits_vendor(
    world: World,
    context: Context,
    signing: KeyRing,
    known: Gatherer,
    reported: ReportedChain,
    usable: VendorKeys,
    loop_s: float,
) -> bool:
    """Ask the vendor for its history of a chain, where anything may be sent to it.

    Returns:
        Whether its answer is still to come.
    """
    license_ = reported.license
    endpoint = world.settings.vendor_endpoint or license_.endpoint
    silent = context.suspended or is_exporting(world, context, known.facts)
    signer = signer_of(context, signing, known.facts, license_)
    if endpoint is None or silent or context.clock.ahead or not isinstance(signer, SigningKey):
        return False
    installation = installation_of(signing, license_)
    question = Question(
        context.key,
        endpoint,
        reported.chain,
        Parties(installation, license_.vendor, license_.subscription),
        signer,
        tuple(key for key in signing.keys if key != signer),
        reported.keys,
        usable,
    )
    return world.histories.ask(question, loop_s, again=context.requested)


def _chains(
    context: Context, signing: KeyRing, known: Gatherer, now_ms: int
) -> tuple[ReportedChain, ...]:
    """Return the chains that the object's reports may be in, each with a licence of it."""
    licenses = [stored_license(token) for token in known.facts.meter.licenses.values()]
    licenses += [] if context.license is None else [context.license]
    keys = signing.public_keys()
    chains = {}
    for license_ in licenses:
        chain = chain_of(license_, installation_of(signing, license_), *context.key)
        chains[chain.id] = ReportedChain(chain, license_, keys, now_ms)
    return tuple(chains.values())


def _stopped(known: Gatherer, chain: ReportChain) -> bool:
    return chain.id in known.facts.chains and why_stopped(known.facts, chain) is not None


def _recoverable(known: Gatherer, chain: ReportChain) -> bool:
    """Whether the reports are all that is lost: key statements are kept beside the key."""
    return known.facts.chains[chain.key_chain_id].stopped in {None, HISTORY_LOST}


def _set_aside(ledger: Ledger, chain_id: str) -> frozenset[str]:
    return frozenset(each.link.digest for each in ledger.set_aside(chain_id))


def _ledger_digest(ledger: Ledger, chain_id: str, sequence: int) -> str | None:
    item = ledger.document(jti_of(chain_id, sequence))
    return None if item is None else item.digest
