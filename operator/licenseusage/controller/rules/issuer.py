"""From the ledger's draft to the signed report: each fact in its claim, nothing decided here.

Pure but for the signature: the draft holds what the ledger knows (position, statement, clock), the
`Issuer` what it does not (licence, key, definition, version).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from licenseusage.chain import first_answer
from licenseusage.controller.rules.clockwatch import Judgement
from licenseusage.controller.rules.declared import Declared, definition, exclusions
from licenseusage.controller.rules.ends import Counted
from licenseusage.controller.rules.key import Key
from licenseusage.controller.rules.keystatus import placed
from licenseusage.controller.rules.replacing import refused_finals
from licenseusage.controller.rules.withheld import NOTHING, Withheld, withheld_before
from licenseusage.errors import Stalled, UsageError, Waiting
from licenseusage.ledger.documents.records import (
    FORKED,
    HISTORY_LOST,
    MeterFacts,
    ReportChain,
    ReportDraft,
    ReportKind,
    SignedDocument,
    Superseded,
)
from licenseusage.metering.cycles import Cycle
from licenseusage.reasons import Reason
from licenseusage.reports.content import (
    Content,
    Gap,
    Kind,
    OperatorInfo,
    ReportClock,
    ReportCoverage,
    ReportCycle,
    ReportRules,
    Supersedes,
    Uncertainty,
)
from licenseusage.reports.fitting import fit_uncertainty
from licenseusage.reports.keyring import KeyRing, signed_by
from licenseusage.reports.keys import SigningKey, VendorKeys
from licenseusage.reports.licence import License, stored_license
from licenseusage.reports.names import Link, digest, jti_of, key_chain_id, report_chain_id
from licenseusage.reports.report import ReportInput, build_report, report_claims

_KINDS = {
    ReportKind.INTERIM: Kind.INTERIM,
    ReportKind.FINAL: Kind.FINAL,
    ReportKind.AMENDMENT: Kind.AMENDMENT,
}


@dataclass(frozen=True, slots=True)
class Issuer:
    """Who says it, under which licence and rules.

    Attributes:
        namespace: Of the usage object; ``name`` likewise.
        definition: Who counts as active, in words.
        rules_digest: Digest of the rules now; the cycle's record may know a newer one.
        exclusions: Users excluded, by reason.
        key_id: Public name of the pseudonym key, if it is known.
        reference_offset_seconds: The API server's clock minus ours (simulation taken out).
        known_as: The installation's id; None: that of ``key``.
        withheld: What the customer keeps back.
    """

    license: License
    key: SigningKey
    namespace: str
    name: str
    definition: str
    rules_digest: str
    operator: OperatorInfo
    exclusions: Mapping[str, int] = field(default_factory=dict)
    key_id: str | None = None
    reference_offset_seconds: int | None = None
    known_as: str | None = None
    withheld: Withheld = NOTHING

    @property
    def installation(self) -> str:
        """The id of the installation: of its first key, which may not be the one that signs."""
        return self.key.installation if self.known_as is None else self.known_as

    @property
    def chain(self) -> ReportChain:
        """The chain of the reports, and of the key statements before them."""
        return chain_of(self.license, self.installation, self.namespace, self.name)

    def sign(self, draft: ReportDraft) -> SignedDocument:
        """Sign a draft; called once, inside the transaction that stores the result.

        Raises:
            Refused: The draft is no valid report, which is a defect; nothing was signed.
        """
        token = build_report(self._input(draft), self.key)
        return SignedDocument(jti_of(draft.chain_id, draft.sequence), digest(token), token)

    def claims(self, draft: ReportDraft) -> Mapping[str, object]:
        """Return what `sign` would sign; nothing is signed.

        Raises:
            Refused: The draft is no valid report, which is a defect.
        """
        return report_claims(self._input(draft))

    def _input(self, draft: ReportDraft) -> ReportInput:
        return ReportInput(
            installation=self.installation,
            vendor=self.license.vendor,
            subscription=self.license.subscription,
            namespace=self.namespace,
            name=self.name,
            issued_at_s=draft.at_ms // 1000,
            content=self._content(draft),
            previous=Link(draft.sequence - 1, draft.previous) if draft.previous else None,
            acknowledged=draft.acknowledged,
            restored=draft.continuity == Reason.RESTORED,
        )

    def _content(self, draft: ReportDraft) -> Content:
        statement, record = draft.statement, draft.record
        cycle = statement.cycle
        return Content(
            kind=_KINDS[draft.kind],
            product=self.license.product,
            license_id=self.license.license_id,
            cycle=ReportCycle(
                cycle.index,
                cycle.start_ms // 1000,
                cycle.end_ms // 1000,
                statement.as_of_ms // 1000,
            ),
            active_users=statement.bounds.active_users,
            active_users_upper_bound=statement.bounds.active_users_upper_bound,
            accuracy=str(statement.bounds.stated),
            coverage=ReportCoverage(
                statement.coverage.observed_seconds,
                tuple(Gap(gap.start_s, gap.end_s, gap.reason) for gap in statement.coverage.gaps),
                statement.coverage.merged,
            ),
            rules=ReportRules(
                definition=self.definition,
                digest=record.rules_digest or self.rules_digest,
                changes_in_cycle=record.rules_changes,
                exclusions=self.exclusions,
                assumptions=statement.assumptions,
            ),
            clock=ReportClock(
                high_water_s=draft.clock_high_water_ms // 1000,
                backward_steps=record.backward_steps,
                forward_steps=record.forward_steps,
                largest_step_seconds=record.largest_step_seconds,
                vendor_time_s=_seconds(draft.vendor_time_ms),
                reference_offset_seconds=self.reference_offset_seconds,
            ),
            operator=self.operator,
            provisioned_users=None if self.withheld.provisioned else statement.provisioned,
            daily_active_users=None if self.withheld.daily else statement.daily,
            uncertainty=fit_uncertainty(
                [
                    Uncertainty(uncertainty.reason, uncertainty.users)
                    for uncertainty in statement.uncertainty
                ]
                + [Uncertainty(reason, 0) for reason in statement.no_bound]
            ),
            pseudonym_key_id=record.pseudonym_key_id or self.key_id,
            supersedes=_supersedes(draft.superseded),
        )


def chain_of(license_: License, installation: str, namespace: str, name: str) -> ReportChain:
    """Return the names of an object's chain under a licence (REPORT_FORMAT §2)."""
    parts = {
        "vendor": license_.vendor,
        "installation": installation,
        "subscription": license_.subscription,
    }
    return ReportChain(
        id=report_chain_id(**parts, namespace=namespace, name=name),
        key_chain_id=key_chain_id(**parts),
    )


def installation_of(ring: KeyRing, license_: License) -> str:
    """Return the id that a licence's subscription knows the installation by."""
    return ring.installation(license_.vendor, license_.subscription)


def _supersedes(named: Superseded | None) -> Supersedes | None:
    return None if named is None else Supersedes(named.link, named.reason, named.note)


def _seconds(at_ms: int | None) -> int | None:
    return None if at_ms is None else at_ms // 1000


@dataclass(frozen=True, slots=True)
class Site:
    """Where reports are made.

    Attributes:
        operator: Version and cluster, as reports state them.
        reference_offset_seconds: The API server's clock minus ours; None: not known.
        identity_secret: Namespace and name of the Secret with the signing key.
    """

    operator: OperatorInfo
    reference_offset_seconds: int | None
    identity_secret: str


@dataclass(frozen=True, slots=True)
class Context:
    """What the steps need to know of an object beside what the ledger knows (`MeterFacts`).

    Attributes:
        license: The last verified licence; None: the object counts without reports.
        signing: The keys that sign; an error: no report can be made now.
        vendor_keys: The pinned keys; an error: no receipt can be verified, so nothing is sent.
        suspended: ``spec.suspend: Reporting``.
        export: Whether ``spec.reporting.mode`` is Export; None: the object is gone, and nobody
            says.
        clock: What to think of the clock: nothing is signed while it is ahead.
        key_id: Public name of the pseudonym key, if it is readable.
        site: Where reports are made.
        withheld: What the customer keeps back; None: what the newest report kept back.
        history: Chain -> what was seen of it in the cluster that the ledger does not hold.
        holes: Chain -> why the reports in the cluster do not complete it.
        requested: An administrator asks to send now.
        gone: The object was deleted, or cannot be acted on; only what was begun is finished.
    """

    key: Key
    license: License | None
    signing: KeyRing | UsageError
    vendor_keys: VendorKeys | UsageError
    suspended: bool
    counted: Counted
    sources: Sequence[Declared]
    rules_digest: str
    key_id: str | None
    clock: Judgement
    site: Site
    export: bool | None = False
    withheld: Withheld | None = None
    history: Mapping[str, str] = field(default_factory=dict)
    holes: Mapping[str, str] = field(default_factory=dict)
    requested: bool = False
    gone: bool = False


def issuer_of(context: Context, facts: MeterFacts, cycle: Cycle) -> Issuer | UsageError | None:
    """Return who signs a report about a cycle; None: none is due; an error: it cannot be now."""
    signing = context.signing
    if context.license is None:
        return None
    not_now = first_answer(NOTHING_IS_SIGNED, context)
    if not_now is not None or isinstance(signing, UsageError):
        return not_now
    token = facts.meter.license_of(cycle)
    if token is None:
        return None
    license_ = stored_license(token)
    known_as = installation_of(signing, license_)
    signer = signer_of(context, signing, facts, license_)
    if isinstance(signer, UsageError):
        return signer
    issuer = Issuer(
        license=license_,
        key=signer,
        known_as=known_as,
        namespace=context.key.namespace,
        name=context.key.name,
        definition=definition(context.sources),
        rules_digest=context.rules_digest,
        operator=context.site.operator,
        exclusions=exclusions_of(context.counted),
        key_id=context.key_id,
        reference_offset_seconds=context.site.reference_offset_seconds,
        withheld=context.withheld or withheld_before(facts.reports),
    )
    return first_answer(CYCLE_WAITS, context, facts, issuer, cycle) or issuer


def signer_of(
    context: Context, ring: KeyRing, facts: MeterFacts, license_: License
) -> SigningKey | Stalled:
    """Return the key that signs reports under a licence; an error: it is not at hand."""
    chain = chain_of(license_, installation_of(ring, license_), *context.key)
    statements = facts.statements.get(chain.key_chain_id, ())
    newest = next((item.token for item in facts.reports if item.chain_id == chain.id), None)
    signer = ring.signer(placed(statements), None if newest is None else signed_by(newest))
    return signer or Stalled(
        Reason.IDENTITY_INVALID,
        f"Secret {context.site.identity_secret} does not hold the key that signs for subscription "
        f"{license_.subscription}: another key has succeeded it. Restore the newest backup of the "
        f"Secret. Counting goes on; nothing is signed.",
    )


def reporting_is_suspended(context: Context) -> UsageError | None:
    """``spec.suspend`` is Reporting."""
    if not context.suspended:
        return None
    return Waiting(Reason.SUSPENDED, "spec.suspend is Reporting.")


def key_is_unusable(context: Context) -> UsageError | None:
    """The signing key cannot be read."""
    return context.signing if isinstance(context.signing, UsageError) else None


def clock_is_ahead(context: Context) -> UsageError | None:
    """A report signed now would be of the future."""
    return context.clock.ahead


NOTHING_IS_SIGNED: tuple[Callable[[Context], UsageError | None], ...] = (
    reporting_is_suspended,
    key_is_unusable,
    clock_is_ahead,
)


def chain_is_halted(
    context: Context, facts: MeterFacts, issuer: Issuer, cycle: Cycle
) -> UsageError | None:
    """The vendor holds another history of the chain than the ledger."""
    return halted(context, facts, issuer.chain)


def older_final_is_refused(
    context: Context, facts: MeterFacts, issuer: Issuer, cycle: Cycle
) -> UsageError | None:
    """A final of an older cycle waits for another one in its place.

    What comes after it would be refused as well, and a chain must not begin behind it.
    """
    for refused in refused_finals(facts.reports):
        older = refused.cycle is not None and refused.cycle.end_ms < cycle.end_ms
        if older and refused.chain_id == issuer.chain.id:
            return Waiting(
                Reason.known(refused.reason, Reason.REJECTED),
                f"The vendor refused final report {refused.sequence}: later cycles are reported "
                f"once another final has taken its place.",
            )
    return None


CYCLE_WAITS: tuple[Callable[[Context, MeterFacts, Issuer, Cycle], UsageError | None], ...] = (
    chain_is_halted,
    older_final_is_refused,
)


def halted(context: Context, facts: MeterFacts, chain: ReportChain) -> Stalled | None:
    """Return why nothing more is signed or sent of a chain, and what to do; None: nothing."""
    reports, enrolled = facts.chains[chain.id], facts.chains[chain.key_chain_id]
    # What was lost of the subscription's chains is known of one that was completed.
    unknown = enrolled.stopped and not (reports.resumed and enrolled.stopped == HISTORY_LOST)
    if not reports.stopped and not unknown:
        return None
    seen = context.history.get(chain.id)
    ledger_end = (
        f"the ledger ends with {reports.head.sequence}" if reports.head else "the ledger has none"
    )
    if seen is not None:
        what = f"{seen} of chain {chain.id}, which the ledger does not hold ({ledger_end})"
    elif reports.stopped is None:
        secret = context.site.identity_secret
        what = f"Secret {secret} says that it has enrolled, and the ledger does not know of it"
    else:
        what = f"The vendor's history of chain {chain.id} contradicts the ledger's ({ledger_end})"
    return Stalled(
        Reason.known(reports.stopped or enrolled.stopped, FORKED),
        f"{what}{_hole(context, chain)}. Counting goes on; no report is signed or sent until a "
        f"person has decided which history stands. If the ledger was lost or restored, merge the "
        f"previous one (licenseusage ledger merge), or restore its newest backup (licenseusage "
        f"ledger restore). If the identity was copied from another cluster, delete its Secret "
        f"here. Else agree with the vendor on how to go on.",
    )


def _hole(context: Context, chain: ReportChain) -> str:
    """Say why the reports in the cluster do not complete the chain, if they were looked at."""
    hole = context.holes.get(chain.id)
    return "" if hole is None else f"; the UsageReports do not complete it: {hole}"


def exclusions_of(counted: Counted) -> Mapping[str, int]:
    """Return ``rules.exclusions`` of the last polls of all sources."""
    return exclusions([status.skipped for status in (counted.statuses or {}).values()])
