"""The next report of an object, by the rules that make it: how it is counted, and who says it."""

from collections.abc import Sequence
from dataclasses import dataclass

from licenseusage.api.licenseusage import LicenseUsage
from licenseusage.controller.rules.clockwatch import judge
from licenseusage.controller.rules.declared import (
    Declared,
    ShippedPresets,
    rules_digest,
    stores,
)
from licenseusage.controller.rules.ends import Counted
from licenseusage.controller.rules.issuer import Context
from licenseusage.controller.rules.polls import PollMemory
from licenseusage.controller.rules.site import Site
from licenseusage.controller.rules.sourceplan import ObjectFacts, SourceFacts, plan
from licenseusage.controller.rules.subject import Subject
from licenseusage.controller.rules.withheld import withheld_by
from licenseusage.errors import Stalled, Waiting
from licenseusage.ledger.documents.records import MeterFacts
from licenseusage.metering.combine import Combine
from licenseusage.metering.cycles import Cycle
from licenseusage.reasons import Reason
from licenseusage.reports.keyring import KeyRing
from licenseusage.reports.licence import stored_license


@dataclass(frozen=True, slots=True)
class Seen:
    """What the cluster shows of an object and of the operator.

    Attributes:
        subject: The object as read; ``usage`` is its model.
        ring: The keys at hand.
        key_id: Public name of the pseudonym key.
        site: Where reports are made.
        roster_gap_ms: As the operator's setting says.
        shipped: The presets that come with its product.
    """

    subject: Subject
    usage: LicenseUsage
    ring: KeyRing
    key_id: str
    site: Site
    roster_gap_ms: int
    shipped: ShippedPresets


def counted_of(seen: Seen, sources: Sequence[Declared], facts: MeterFacts, now_ms: int) -> Counted:
    """Return how the operator counts the sources of an object now."""
    combine = seen.usage.spec.combine
    of = ObjectFacts(
        subject=seen.subject,
        product=seen.usage.spec.product,
        ledger=facts,
        stores=stores(sources, seen.key_id),
        former={},
        rules_digest=rules_digest(sources, combine),
        key_id=seen.key_id,
        roster_gap_ms=seen.roster_gap_ms,
        kept=0,
        requested=False,
        loop_s=0.0,
    )
    counted = tuple(
        plan(of, SourceFacts(source, PollMemory(), None, None, False), now_ms).counted
        for source in sources
    )
    return Counted(counted, combine=Combine(combine), statuses=facts.statuses)


def context_of(seen: Seen, sources: Sequence[Declared], facts: MeterFacts, now_ms: int) -> Context:
    """Return the context in which the operator would make the next report.

    ``spec.suspend`` is not looked at: what would be stated can be seen all the same.
    """
    token = facts.meter.license_token
    return Context(
        key=seen.subject.key,
        license=stored_license(token) if token else None,
        signing=seen.ring,
        vendor_keys=Waiting(Reason.NO_VENDOR_KEYS, "A preview sends nothing."),
        suspended=False,
        counted=counted_of(seen, sources, facts, now_ms),
        sources=sources,
        rules_digest=rules_digest(sources, seen.usage.spec.combine),
        key_id=seen.key_id,
        clock=judge(now_ms, seen.site.reference_offset_seconds, facts.clock_high_water_ms),
        site=seen.site,
        withheld=withheld_by(seen.subject.raw.get("spec") or {}),
    )


def next_cycle_of(facts: MeterFacts, now_ms: int) -> Cycle:
    """Return the cycle that the next report is about: the oldest that has begun and is not Final.

    Raises:
        Stalled: ``NothingDue``: there is none yet.
    """
    for record in facts.unfinished:
        if record.cycle.start_ms <= now_ms:
            return record.cycle
    raise Stalled(
        Reason.NOTHING_DUE,
        f"LicenseUsage {facts.meter.key.namespace}/{facts.meter.key.name} has no billing cycle "
        f"that has begun: there is nothing to report yet.",
    )
