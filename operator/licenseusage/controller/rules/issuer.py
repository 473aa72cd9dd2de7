"""From the ledger's draft to the signed report: each fact in its claim, nothing decided here.

Pure but for the signature: the draft holds what the ledger knows (position, statement, clock), the
`Issuer` what it does not (licence, key, definition, version).
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from licenseusage.controller.rules.clockwatch import Judgement
from licenseusage.controller.rules.declared import Declared, exclusions
from licenseusage.controller.rules.ends import Counted
from licenseusage.controller.rules.key import Key
from licenseusage.errors import UsageError
from licenseusage.ledger.documents.records import (
    ReportChain,
    ReportDraft,
    ReportKind,
    SignedDocument,
    Superseded,
)
from licenseusage.ledger.records import Meter
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
from licenseusage.reports.keys import SigningKey, VendorKeys
from licenseusage.reports.licence import License
from licenseusage.reports.names import Link, digest, jti_of, key_chain_id, report_chain_id
from licenseusage.reports.report import ReportInput, build_report

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

    @property
    def chain(self) -> ReportChain:
        """The chain of the reports, and of the key statements before them."""
        return chain_of(self.license, self.key.installation, self.namespace, self.name)

    def sign(self, draft: ReportDraft) -> SignedDocument:
        """Sign a draft; called once, inside the transaction that stores the result.

        Raises:
            Refused: The draft is no valid report, which is a defect; nothing was signed.
        """
        installation = self.key.installation
        token = build_report(
            ReportInput(
                installation=installation,
                vendor=self.license.vendor,
                subscription=self.license.subscription,
                namespace=self.namespace,
                name=self.name,
                issued_at_s=draft.at_ms // 1000,
                content=self._content(draft),
                previous=Link(draft.sequence - 1, draft.previous) if draft.previous else None,
                acknowledged=Link(*draft.acknowledged) if draft.acknowledged else None,
            ),
            self.key,
        )
        return SignedDocument(jti_of(draft.chain_id, draft.sequence), digest(token), token)

    def _content(self, draft: ReportDraft) -> Content:
        said, record = draft.statement, draft.record
        cycle = said.cycle
        return Content(
            kind=_KINDS[draft.kind],
            product=self.license.product,
            license_id=self.license.license_id,
            cycle=ReportCycle(
                cycle.index, cycle.start_ms // 1000, cycle.end_ms // 1000, said.as_of_ms // 1000
            ),
            active_users=said.bounds.active_users,
            active_users_upper_bound=said.bounds.active_users_upper_bound,
            accuracy=str(said.bounds.stated),
            coverage=ReportCoverage(
                said.coverage.observed_seconds,
                tuple(Gap(gap.start_s, gap.end_s, gap.reason) for gap in said.coverage.gaps),
                said.coverage.merged,
            ),
            rules=ReportRules(
                definition=self.definition,
                digest=record.rules_digest or self.rules_digest,
                changes_in_cycle=record.rules_changes,
                exclusions=self.exclusions,
                assumptions=said.assumptions,
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
            provisioned_users=said.provisioned,
            daily_active_users=said.daily,
            uncertainty=fit_uncertainty(
                [Uncertainty(one.reason, one.users) for one in said.uncertainty]
                + [Uncertainty(reason, 0) for reason in said.no_bound]
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


def _supersedes(named: Superseded | None) -> Supersedes | None:
    return None if named is None else Supersedes(Link(*named.link), named.reason, named.note)


def _seconds(at_ms: int | None) -> int | None:
    return None if at_ms is None else at_ms // 1000


@dataclass(frozen=True, slots=True)
class Context:
    """What the steps need to know of an object.

    Attributes:
        license: The last verified licence; None: the object counts without reports.
        signing: The key that signs; an error: no report can be made now.
        vendor_keys: The pinned keys; an error: no receipt can be verified, so nothing is sent.
        suspended: ``spec.suspend: Reporting``.
        clock: What to think of the clock: nothing is signed while it is ahead.
        requested: An administrator asks to send now.
        gone: The object was deleted, or cannot be acted on; only what was begun is finished.
        key_id: Public name of the pseudonym key, if it is readable.
    """

    key: Key
    meter: Meter
    license: License | None
    signing: SigningKey | UsageError
    vendor_keys: VendorKeys | UsageError
    suspended: bool
    counted: Counted
    sources: Sequence[Declared]
    rules_digest: str
    key_id: str | None
    clock: Judgement
    requested: bool = False
    gone: bool = False


def route_digest(*parts: Sequence[str]) -> str:
    """Return the digest of what delivery depends on: 64 hex digits."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def exclusions_of(counted: Counted) -> Mapping[str, int]:
    """Return ``rules.exclusions`` of the last polls of all sources."""
    return exclusions([status.skipped for status in (counted.statuses or {}).values()])
