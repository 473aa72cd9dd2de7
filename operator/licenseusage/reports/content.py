"""The contents of a report as types, for the writer and the reader (§5).

Times are seconds since 1970 UTC; intervals are half-open. ``None`` is "not known" everywhere and
never zero.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from licenseusage.reports.names import Link


class Kind(StrEnum):
    """Why a report is made."""

    INTERIM = "interim"
    FINAL = "final"
    AMENDMENT = "amendment"


@dataclass(frozen=True, slots=True)
class ReportCycle:
    """The cycle and how far into it the report looks.

    Attributes:
        as_of_s: The counts cover ``[start_s, as_of_s)``; the end, but for an interim.
    """

    index: int
    start_s: int
    end_s: int
    as_of_s: int


@dataclass(frozen=True, slots=True)
class Gap:
    """A span that was not observed, and the Token that says why."""

    start_s: int
    end_s: int
    reason: str


@dataclass(frozen=True, slots=True)
class ReportCoverage:
    """How much of ``[start, asOf)`` was observed.

    Attributes:
        observed_seconds: Together with the gaps exactly the elapsed time, or more if ``merged``.
        gaps: Ascending, disjoint, at most 32.
        merged: Nearest gaps were joined to fit 32.
    """

    observed_seconds: int
    gaps: tuple[Gap, ...] = ()
    merged: bool = False


@dataclass(frozen=True, slots=True)
class Uncertainty:
    """One reason why the upper bound exceeds the lower one, and by how many users."""

    reason: str
    users: int


@dataclass(frozen=True, slots=True)
class ReportRules:
    """Who counts.

    Attributes:
        definition: In words, at most 1024 characters.
        digest: ``sha256:…`` of the sender's source and rule configuration.
        changes_in_cycle: How often that configuration changed in this cycle.
        exclusions: Users excluded, by reason (a Token); at most 16.
        assumptions: Declared properties that the accuracy rests on (Tokens); at most 16.
    """

    definition: str
    digest: str
    changes_in_cycle: int = 0
    exclusions: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    assumptions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ReportClock:
    """Evidence about the sender's clock.

    Attributes:
        high_water_s: Latest time made durable before this report.
        backward_steps: Steps back in this cycle; ``forward_steps`` likewise.
        largest_step_seconds: The largest of them, without sign.
        vendor_time_s: ``receivedAt`` of the newest verified receipt.
        reference_offset_seconds: The API server's clock minus ours.
    """

    high_water_s: int
    backward_steps: int = 0
    forward_steps: int = 0
    largest_step_seconds: int = 0
    vendor_time_s: int | None = None
    reference_offset_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class Supersedes:
    """The report that an amendment replaces, and why."""

    link: Link
    reason: str
    note: str | None = None


@dataclass(frozen=True, slots=True)
class OperatorInfo:
    """The operator that made the report.

    Attributes:
        version: A Name (no ``+``): see ``report_version``.
        cluster: ``names.cluster_id`` of the kube-system UID; None: unreadable.
    """

    version: str
    cluster: str | None = None


@dataclass(frozen=True, slots=True)
class Content:
    """The body of a report: everything except its identity and its position in the chain.

    Attributes:
        active_users: Lower bound of distinct active users (an estimate, if ``accuracy`` says so).
        active_users_upper_bound: Upper bound.
        accuracy: ``Exact``, ``Bounded``, ``LowerBound``, ``UpperBound``, ``Estimate``, ``Unknown``.
        daily_active_users: Entry *d* is day *d* of the cycle, lower bounds; None: withheld.
        purpose: None: the licence's.
        commitment: Digest of the users counted; see ``names.commitment``.
        supersedes: Set if and only if this is an amendment.
    """

    kind: Kind
    product: str
    license_id: str
    cycle: ReportCycle
    active_users: int | None
    active_users_upper_bound: int | None
    accuracy: str
    coverage: ReportCoverage
    rules: ReportRules
    clock: ReportClock
    operator: OperatorInfo
    provisioned_users: int | None = None
    daily_active_users: tuple[int | None, ...] | None = None
    uncertainty: tuple[Uncertainty, ...] = ()
    pseudonym_key_id: str | None = None
    purpose: str | None = None
    commitment: str | None = None
    supersedes: Supersedes | None = None


def content_claims(content: Content) -> dict[str, object]:
    """Return the body's claims as JSON values."""
    cycle, clock, rules = content.cycle, content.clock, content.rules
    claims: dict[str, object] = {
        "kind": content.kind.value,
        "product": content.product,
        "licenseId": content.license_id,
        "cycle": {
            "index": cycle.index,
            "start": cycle.start_s,
            "end": cycle.end_s,
            "lengthDays": (cycle.end_s - cycle.start_s) // 86400,
            "asOf": cycle.as_of_s,
        },
        "activeUsers": content.active_users,
        "activeUsersUpperBound": content.active_users_upper_bound,
        "accuracy": str(content.accuracy),
        "provisionedUsers": content.provisioned_users,
        "dailyActiveUsers": _list(content.daily_active_users),
        "coverage": {
            "observedSeconds": content.coverage.observed_seconds,
            "gaps": [
                {"start": gap.start_s, "end": gap.end_s, "reason": gap.reason}
                for gap in content.coverage.gaps
            ],
            "merged": content.coverage.merged,
        },
        "rules": {
            "definition": rules.definition,
            "digest": rules.digest,
            "changesInCycle": rules.changes_in_cycle,
            "exclusions": dict(rules.exclusions),
        },
        "pseudonymKeyId": content.pseudonym_key_id,
        "clock": {
            "highWater": clock.high_water_s,
            "backwardSteps": clock.backward_steps,
            "forwardSteps": clock.forward_steps,
            "largestStepSeconds": clock.largest_step_seconds,
            "vendorTime": clock.vendor_time_s,
            "referenceOffsetSeconds": clock.reference_offset_seconds,
        },
        "operator": {"version": content.operator.version, "cluster": content.operator.cluster},
    }
    return claims | _optional_claims(content, claims)


def _optional_claims(content: Content, claims: Mapping[str, Any]) -> dict[str, object]:
    optional: dict[str, object] = {}
    if content.rules.assumptions:
        optional["rules"] = {**claims["rules"], "assumptions": list(content.rules.assumptions)}
    if content.uncertainty:
        optional["uncertainty"] = [
            {"reason": cause.reason, "users": cause.users} for cause in content.uncertainty
        ]
    if content.purpose is not None:
        optional["purpose"] = content.purpose
    if content.commitment is not None:
        optional["commitment"] = content.commitment
    if content.supersedes is not None:
        note = content.supersedes.note
        optional["supersedes"] = {
            **content.supersedes.link.claim(),
            "reason": content.supersedes.reason,
            **({"note": note} if note is not None else {}),
        }
    return optional


def content_of(claims: Mapping[str, Any]) -> Content:
    """Return the body of claims that have passed the report's table."""
    cycle, coverage, rules, clock = (
        claims[name] for name in ("cycle", "coverage", "rules", "clock")
    )
    daily, supersedes = claims["dailyActiveUsers"], claims.get("supersedes")
    return Content(
        kind=Kind(claims["kind"]),
        product=claims["product"],
        license_id=claims["licenseId"],
        cycle=ReportCycle(cycle["index"], cycle["start"], cycle["end"], cycle["asOf"]),
        active_users=claims["activeUsers"],
        active_users_upper_bound=claims["activeUsersUpperBound"],
        accuracy=claims["accuracy"],
        coverage=ReportCoverage(
            coverage["observedSeconds"],
            tuple(Gap(gap["start"], gap["end"], gap["reason"]) for gap in coverage["gaps"]),
            coverage["merged"],
        ),
        rules=ReportRules(
            rules["definition"],
            rules["digest"],
            rules["changesInCycle"],
            MappingProxyType(dict(rules["exclusions"])),
            tuple(rules.get("assumptions", ())),
        ),
        clock=ReportClock(
            clock["highWater"],
            clock["backwardSteps"],
            clock["forwardSteps"],
            clock["largestStepSeconds"],
            clock["vendorTime"],
            clock["referenceOffsetSeconds"],
        ),
        operator=OperatorInfo(claims["operator"]["version"], claims["operator"]["cluster"]),
        provisioned_users=claims["provisionedUsers"],
        daily_active_users=None if daily is None else tuple(daily),
        uncertainty=tuple(
            Uncertainty(cause["reason"], cause["users"]) for cause in claims.get("uncertainty", ())
        ),
        pseudonym_key_id=claims["pseudonymKeyId"],
        purpose=claims.get("purpose"),
        commitment=claims.get("commitment"),
        supersedes=None
        if supersedes is None
        else Supersedes(
            Link(supersedes["sequence"], supersedes["digest"]),
            supersedes["reason"],
            supersedes.get("note"),
        ),
    )


def _list(values: Sequence[int | None] | None) -> list[int | None] | None:
    return None if values is None else list(values)
