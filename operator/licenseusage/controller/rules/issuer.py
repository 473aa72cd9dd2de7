"""From the ledger's draft to the signed report: each fact in its claim, nothing decided here.

Pure but for the signature: the draft holds what the ledger knows (position, statement, clock), the
`Issuer` what it does not (licence, key, definition, version).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from licenseusage.chain import first_answer
from licenseusage.controller.rules.approval import needs_approval
from licenseusage.controller.rules.clockwatch import Judgement
from licenseusage.controller.rules.declared import Declared, definition, exclusions
from licenseusage.controller.rules.ends import Counted
from licenseusage.controller.rules.key import Key
from licenseusage.controller.rules.keystatus import placed
from licenseusage.controller.rules.recovering import Recovering, why_stopped
from licenseusage.controller.rules.replacing import refused_finals
from licenseusage.controller.rules.site import Site
from licenseusage.controller.rules.withheld import NOTHING, Withheld, withheld_before
from licenseusage.errors import Stalled, UsageError, Waiting
from licenseusage.ledger.documents.records import (
    Committing,
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
        approval: Whether what is signed waits for a person's approval.
        committing: Makes commitments to whom finals count; None: they have none.
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
    approval: bool = False
    committing: Committing | None = None

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
        statement, record, vendor_time_ms = draft.statement, draft.record, draft.vendor_time_ms
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
                vendor_time_s=None if vendor_time_ms is None else vendor_time_ms // 1000,
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
            commitment=draft.commitment,
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
        approval: Whether reports wait for approval; None: as the object said last.
        interims: Whether interims are wanted, where the licence makes them optional.
        adopt_head: ``spec.reporting.adoptHead``; None: it is not set.
        history: Chain -> what is known of what it has lost.
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
    approval: bool | None = False
    interims: bool = True
    adopt_head: str | None = None
    history: Mapping[str, Recovering] = field(default_factory=dict)
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
    signer = signer_of(context, signing, facts, license_)
    if isinstance(signer, UsageError):
        return signer
    issuer = Issuer(
        license=license_,
        key=signer,
        known_as=installation_of(signing, license_),
        namespace=context.key.namespace,
        name=context.key.name,
        definition=definition(context.sources),
        rules_digest=context.rules_digest,
        operator=context.site.operator,
        exclusions=exclusions(
            [polls.skipped for polls in (context.counted.statuses or {}).values()]
        ),
        key_id=context.key_id,
        reference_offset_seconds=context.site.reference_offset_seconds,
        withheld=context.withheld or withheld_before(facts.reports),
        approval=needs_approval(context.approval, facts),
        committing=_committing(context),
    )
    return first_answer(CYCLE_WAITS, context, facts, issuer, cycle) or issuer


def _committing(context: Context) -> Committing | None:
    counted, random_bytes = context.counted, context.site.random_bytes
    if random_bytes is None:
        return None
    return Committing(counted.declared, counted.combine, random_bytes)


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
    stopped = why_stopped(facts, chain)
    if stopped is None:
        return None
    known = context.history.get(chain.id, Recovering())
    return known.stalled(stopped, facts.chains[chain.id], context.site.identity_secret)
