"""UsageReceipt: the vendor's receipts, brought in by hand or by GitOps.

For clusters without a way out (REPORT_FORMAT §8).
"""

from typing import Annotated, Literal

from pydantic import Field

from licenseusage.api.conditions import Condition
from licenseusage.api.model import ApiModel, Message, ObjectMeta, Reason, map_list, rules, set_list
from licenseusage.api.usagereport import RECEIPT_TOKEN_CHARACTERS, TOKEN_GRAMMAR

ReceiptResult = Literal["Accepted", "Rejected", "Conflict", "Invalid"]

ReceiptToken = Annotated[
    str,
    Field(
        min_length=5,
        max_length=RECEIPT_TOKEN_CHARACTERS,
        json_schema_extra=rules(TOKEN_GRAMMAR),
    ),
]


class UsageReceiptSpec(ApiModel):
    """The receipts, exactly as the vendor signed them."""

    receipts: tuple[ReceiptToken, ...] = Field(
        min_length=1,
        max_length=64,
        json_schema_extra=set_list(),
        description="receipts are the lines of the vendor's receipts file, one signed receipt "
        "each, 1 to 64.",
    )


class ReceiptStatus(ApiModel):
    """What became of one receipt."""

    digest: Annotated[str, Field(min_length=71, max_length=71)] = Field(
        description="digest tells which receipt is meant: sha256: and the SHA-256 of its text in "
        "hex."
    )
    subject: Annotated[str, Field(max_length=128)] | None = Field(
        default=None, description="subject is the id of the document that the receipt acknowledges."
    )
    result: ReceiptResult = Field(
        description="result is the vendor's verdict, Accepted, Rejected or Conflict, or Invalid "
        "if the receipt did not verify and was not used."
    )
    reason: Reason | None = Field(
        default=None, description="reason is a CamelCase word: why the result is not Accepted."
    )
    message: Message | None = Field(
        default=None, description="message is for people: what was seen and the fix."
    )


class UsageReceiptStatus(ApiModel):
    """What became of the receipts; written by the operator only."""

    observed_generation: Annotated[int, Field(ge=-1)] | None = Field(
        default=None,
        description="observedGeneration is the generation of the spec that this status is about; "
        "-1 until the operator has seen the object.",
    )
    receipts: tuple[ReceiptStatus, ...] | None = Field(
        default=None,
        max_length=64,
        json_schema_extra=map_list("digest"),
        description="receipts are the results, one per receipt.",
    )
    conditions: tuple[Condition, ...] | None = Field(
        default=None,
        max_length=16,
        json_schema_extra=map_list("type"),
        description="conditions are Ready, Reconciling and Stalled.",
    )


class UsageReceipt(ApiModel):
    """Receipts brought in as an object, and what became of them."""

    api_version: str = ""
    kind: str = "UsageReceipt"
    metadata: ObjectMeta
    spec: UsageReceiptSpec = Field(description="spec holds the receipts.")
    status: UsageReceiptStatus | None = Field(
        default=None,
        description="status is what became of each receipt; written by the operator only.",
    )
