"""UsageReport: one signed statement as an immutable object.

The ledger holds every token; the objects are a view of it.
"""

from typing import Annotated, Literal

from pydantic import Field

from licenseusage.api.model import (
    ActiveText,
    ApiModel,
    CyclePeriod,
    Message,
    ObjectMeta,
    Reason,
    Rule,
    Time,
    rules,
    set_list,
)

ReportKind = Literal["Interim", "Final", "Amendment"]
Delivery = Literal["Pending", "AwaitingApproval", "Sending", "Accepted", "Rejected", "Conflict"]

REPORT_TOKEN_CHARACTERS = 65_536
"""The most characters of a report token (REPORT_FORMAT §2)."""

RECEIPT_TOKEN_CHARACTERS = 8_192
"""The most characters of a receipt token (REPORT_FORMAT §2)."""

TOKEN_GRAMMAR = Rule(
    r"self.matches('^[A-Za-z0-9_-]+\\.[A-Za-z0-9_-]+\\.[A-Za-z0-9_-]+$')",
    "not a signed token: three base64url parts joined by '.', without white space or a line end",
)


class SupersededReport(ApiModel):
    """The report that an amendment replaces, as the signed token names it."""

    sequence: Annotated[int, Field(ge=1, le=2_147_483_647)] = Field(
        description="sequence is the position of the replaced report in the chain of reports."
    )
    reason: Reason = Field(
        description="reason is a CamelCase word: NewEvidence (later evidence narrowed the "
        "statement) or Restated."
    )
    note: Annotated[str, Field(min_length=1, max_length=256)] | None = Field(
        default=None,
        description="note says for people what was stated before and what is stated now.",
    )


class UsageReportSpec(ApiModel):
    """The statement: the signed token, and readable copies of its contents."""

    usage_name: Annotated[str, Field(min_length=1, max_length=40)] = Field(
        description="usageName is the name of the LicenseUsage whose users were counted."
    )
    kind: ReportKind = Field(
        description="kind is Interim (the cycle is still running), Final, or Amendment (replaces "
        "a final report)."
    )
    sequence: Annotated[int, Field(ge=1, le=2_147_483_647)] = Field(
        description="sequence is the position in the chain of reports, counted from 1 without "
        "holes."
    )
    cycle: CyclePeriod = Field(description="cycle is the billing cycle that the report describes.")
    active_text: ActiveText = Field(
        description="activeText is the number of active users in words, such as 398 or 412–419."  # noqa: RUF001
    )
    words: Message | None = Field(
        default=None,
        description="words states the number in a sentence, with the reason if it is not exact, "
        "as in the token.",
    )
    supersedes: SupersededReport | None = Field(
        default=None,
        description="supersedes identifies, for an Amendment, the report that it replaces.",
    )
    token: Annotated[
        str,
        Field(
            min_length=5,
            max_length=REPORT_TOKEN_CHARACTERS,
            json_schema_extra=rules(TOKEN_GRAMMAR),
        ),
    ] = Field(
        description="token is the signed report exactly as it is sent. `licenseusage report show` "
        "decodes it."
    )


class UsageReportStatus(ApiModel):
    """The state of the report's delivery to the vendor."""

    delivery: Delivery | None = Field(
        default=None,
        description="delivery is Pending, AwaitingApproval, Sending, Accepted (a verified receipt "
        "has arrived), Rejected or Conflict (the vendor signed a refusal).",
    )
    reason: Reason | None = Field(
        default=None,
        description="reason is a CamelCase word that says why the report is not accepted yet.",
    )
    message: Message | None = Field(
        default=None, description="message says for people what was seen and how to fix it."
    )
    attempts: Annotated[int, Field(ge=0, le=2_147_483_647)] | None = Field(
        default=None, description="attempts is the number of times that the report was sent."
    )
    next_attempt_time: Time | None = Field(
        default=None,
        description="nextAttemptTime is the time when the report is sent again (RFC 3339, UTC).",
    )
    approval_due_time: Time | None = Field(
        default=None,
        description="approvalDueTime is the time by which a report that waits for approval has to "
        "reach the vendor (RFC 3339, UTC).",
    )
    accepted_time: Time | None = Field(
        default=None,
        description="acceptedTime is the time when the vendor stored the report, according to its "
        "receipt (RFC 3339, UTC).",
    )
    receipt: Annotated[str, Field(max_length=RECEIPT_TOKEN_CHARACTERS)] | None = Field(
        default=None, description="receipt is the vendor's signed receipt, after it was verified."
    )
    findings: tuple[Reason, ...] | None = Field(
        default=None,
        max_length=16,
        json_schema_extra=set_list(),
        description="findings lists what the vendor noted about the report, such as "
        "CoverageIncomplete.",
    )


class UsageReport(ApiModel):
    """A report and the state of its delivery."""

    api_version: str = ""
    kind: str = "UsageReport"
    metadata: ObjectMeta
    spec: UsageReportSpec = Field(
        description="spec is the statement. It cannot be changed.",
        json_schema_extra=rules(
            Rule(
                "self == oldSelf",
                "a report cannot be changed once it is made: what was signed stays as it is; "
                "corrections are reports of kind Amendment",
                reason="FieldValueForbidden",
            )
        ),
    )
    status: UsageReportStatus | None = Field(
        default=None,
        description="status is the state of the report's delivery. Only the operator writes it.",
    )


def report_name(usage_name: str, chain_id: str, sequence: int) -> str:
    """Return the object's name: usage, first 8 digits of the chain's id, sequence (6 or more)."""
    return f"{usage_name}-{chain_id[:8]}-{sequence:06d}"
