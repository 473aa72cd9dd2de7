"""An object's meter, cycles and the two keys, or the reason why there are none."""

from collections.abc import Mapping, Sequence
from typing import Any

from licenseusage.api.licenseusage import LicenseUsage
from licenseusage.controller.effects.gatherer import Gatherer
from licenseusage.controller.effects.identity import PseudonymKey
from licenseusage.controller.effects.kube import ForbiddenError, KubeError
from licenseusage.controller.effects.listing import evidence
from licenseusage.controller.rules.clockwatch import Judgement, judge
from licenseusage.controller.rules.ends import missing_cycles
from licenseusage.controller.rules.evidence import own_reports
from licenseusage.controller.rules.issuer import chain_of, installation_of
from licenseusage.controller.rules.key import Key
from licenseusage.controller.rules.lostledger import consented
from licenseusage.controller.rules.site import Site
from licenseusage.controller.rules.status import HISTORY
from licenseusage.controller.rules.subject import Subject
from licenseusage.controller.rules.withheld import drops_days
from licenseusage.controller.steps.world import World
from licenseusage.errors import Retryable, Stalled, UsageError, Waiting
from licenseusage.ledger.documents.records import MeterFacts, ReportChain
from licenseusage.ledger.ledger import Ledger
from licenseusage.ledger.records import CycleRecord, Meter, MeterKey
from licenseusage.reasons import Reason
from licenseusage.reports.keyring import KeyRing
from licenseusage.reports.keys import VendorKeys
from licenseusage.reports.licence import License, stored_license


async def keys_pending(world: World, loop_s: float) -> None:
    """On a first start, make the two keys before anything is written to the ledger.

    So an empty ledger and a cluster without our traces mean a first start even after a crash in the
    middle of it, and anything else means that a missing key is a loss.

    Raises:
        UsageError: They cannot be made now; nothing is counted until they are.
    """
    if world.first_start.settled:
        return
    async with world.first_start.lock:
        if world.first_start.settled:
            return
        if not await world.books.do(Ledger.meters):
            try:
                seen = await evidence(world.kube, world.settings.namespaces)
            except ForbiddenError as error:
                raise Stalled(
                    Reason.ROLE_MISSING,
                    f"The operator may not {error.what}; install its roles as you "
                    "installed it (kubectl apply -k manifests/base, your own kustomization, or "
                    "helm upgrade).",
                ) from None
            except KubeError as error:
                raise Retryable(Reason.API_UNAVAILABLE, f"{error}; it is tried again.") from None
            if not seen:
                await world.keys.create_if_absent(loop_s)
        world.first_start.settled = True


async def gathered(
    world: World,
    subject: Subject,
    usage: LicenseUsage,
    signing: KeyRing | UsageError,
    now_ms: int,
) -> Gatherer:
    """Return what the ledger knows of an object, whose meter is made if there is none.

    Raises:
        Stalled: ``LedgerLost``: the cluster shows earlier cycles that the ledger does not know, and
            nobody has consented to go on without it.
        UsageError: The ledger cannot be read or written.
    """
    key = subject.key
    if key not in world.known:
        live = await world.objects.live(key)
        if subject.counted_before or live:
            head = None if usage.spec.reporting is None else usage.spec.reporting.adopt_head
            keys = None if isinstance(signing, UsageError) else signing.public_keys()
            consented(key, head, {} if keys is None else own_reports(live, keys, {}))
    wanted = MeterKey(key.namespace, key.name, usage.spec.product)
    # An idle object writes nothing, so it is looked for before it is made.
    known = await gatherer_of(world, key, signing).open(
        lambda ledger: ledger.meter(wanted) or ledger.ensure_meter(wanted, now_ms)
    )
    world.known.add(key)
    return known


def gatherer_of(world: World, key: Key, signing: KeyRing | UsageError) -> Gatherer:
    """Return who gathers what the ledger knows of an object; without a key no chains are known."""

    def chains(meter: Meter) -> list[ReportChain]:
        if isinstance(signing, UsageError):
            return []
        licenses = map(stored_license, meter.licenses.values())
        return [
            chain_of(license_, installation_of(signing, license_), *key) for license_ in licenses
        ]

    kept = world.settings.keep_facts_cycles + 2
    return Gatherer(world.books, chains, max(HISTORY + 1, kept))


def site_of(world: World) -> Site:
    """Return where reports are made."""
    settings = world.settings
    secret = f"{settings.operator_namespace}/{settings.identity_secret}"
    return Site(world.operator, world.reference_offset_seconds(), secret, world.random_bytes)


async def begin_cycles(known: Gatherer, now_ms: int) -> None:
    """Make records of the cycles up to the running one that have none.

    Raises:
        UsageError: The ledger cannot be written.
    """
    meter = known.facts.meter
    missing = missing_cycles(meter, [record.cycle for record in known.facts.cycles], now_ms)

    def begin(ledger: Ledger) -> None:
        for cycle in missing:
            ledger.ensure_cycle(meter.id, cycle, now_ms)

    if missing:
        await known.do(begin)


async def follow_daily_facts(
    world: World, key: Key, known: Gatherer, spec: Mapping[str, Any], now_ms: int
) -> None:
    """Drop, or keep from the next cycle on, on which days somebody was active.

    Raises:
        UsageError: The ledger cannot be written.
    """
    dropped, meter = drops_days(spec), known.facts.meter
    if dropped == meter.days_dropped:
        return
    await known.do(lambda ledger: ledger.follow_daily_facts(meter.id, now_ms, dropped=dropped))
    memory = world.memory(key)
    memory.statements, memory.growth = {}, {}


def clock_of(world: World, facts: MeterFacts, now_ms: int) -> Judgement:
    """Return what to think of the clock now."""
    return judge(now_ms, world.reference_offset_seconds(), facts.clock_high_water_ms)


async def keys_of(
    world: World, loop_s: float
) -> tuple[PseudonymKey | UsageError, KeyRing | UsageError]:
    """Return the keys of either kind, or why they cannot be had."""
    pseudonym: PseudonymKey | UsageError
    signing: KeyRing | UsageError
    try:
        pseudonym = await world.keys.pseudonym_key(loop_s)
    except UsageError as error:
        pseudonym = error
    try:
        signing = await world.keys.ring(loop_s)
    except UsageError as error:
        signing = error
    return pseudonym, signing


def naming_the_lost_key(
    pseudonym: PseudonymKey | UsageError, cycles: Sequence[CycleRecord]
) -> PseudonymKey | UsageError:
    """Return the key; or, if it is lost, the failure with the lost key's id, which a new one names.

    Where nobody was counted under the lost key, there is no id, and the failure says so: beside
    objects that stayed, a new installation could name none.

    Args:
        pseudonym: The key, or why it cannot be had.
        cycles: Those that are not Final, oldest first.
    """
    ids = [record.pseudonym_key_id for record in cycles if record.pseudonym_key_id is not None]
    if not isinstance(pseudonym, Stalled) or pseudonym.reason != Reason.PSEUDONYM_KEY_LOST:
        return pseudonym
    named = (
        f"The lost key's id is {ids[-1]}."
        if ids
        else "The ledger counted nobody of this object under it: unless another object names its "
        "id, leave out --replaces."
    )
    return Stalled(pseudonym.reason, f"{pseudonym.message} {named}")


async def vendor_keys_of(
    world: World, license_: License | None, loop_s: float
) -> VendorKeys | UsageError:
    """Return the vendor's pinned keys, or why they cannot be had; not read where none are needed.

    Args:
        world: The surroundings.
        license_: The object's licence; None: nothing is sent.
        loop_s: Monotonic seconds.
    """
    if license_ is None:
        return Waiting(Reason.NO_LICENSE, "Nothing is reported without a licence.")
    try:
        return await world.vendor.read(world.reader, loop_s)
    except UsageError as error:
        return error
