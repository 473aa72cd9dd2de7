"""UsageReceipt: the vendor's receipts, imported by hand or by GitOps.

For clusters without a network route to the vendor (REPORT_FORMAT §8).
"""

from typing import Annotated, Literal

from pydantic import Field

from licenseusage.api.conditions import Condition
from licenseusage.api.model import ApiModel, Message, ObjectMeta, Reason, map_list, rules, set_list
from licenseusage.api.usagereport import RECEIPT_TOKEN_CHARACTERS, TOKEN_GRAMMAR

ReceiptResult = Literal["Accepted", "Rejected", "Conflict", "Waiting", "Invalid"]

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
        description="receipts are the lines of the vendor's receipts file, 1 to 64. Each line is "
        "one signed receipt.",
    )


class ReceiptStatus(ApiModel):
    """The result of one receipt."""

    digest: Annotated[str, Field(min_length=71, max_length=71)] = Field(
        description="digest identifies the receipt: sha256: and the SHA-256 of its text in hex."
    )
    subject: Annotated[str, Field(max_length=128)] | None = Field(
        default=None, description="subject is the id of the document that the receipt acknowledges."
    )
    result: ReceiptResult = Field(
        description="result is the vendor's decision, Accepted, Rejected or Conflict; or Waiting "
        "if the receipt will be used as soon as something is there that is missing now; or Invalid "
        "if it could not be verified and was not used."
    )
    reason: Reason | None = Field(
        default=None,
        description="reason is a CamelCase word that says why the result is not Accepted, or why "
        "the receipt changed nothing.",
    )
    message: Message | None = Field(
        default=None, description="message says for people what was seen and how to fix it."
    )


class UsageReceiptStatus(ApiModel):
    """The results of the receipts. Only the operator writes them."""

    observed_generation: Annotated[int, Field(ge=-1)] | None = Field(
        default=None,
        description="observedGeneration is the generation of the spec to which this status "
        "belongs; -1 until the operator has seen the object.",
    )
    total: Annotated[int, Field(ge=0, le=64)] | None = Field(
        default=None, description="total is the number of receipts."
    )
    accepted: Annotated[int, Field(ge=0, le=64)] | None = Field(
        default=None,
        description="accepted is the number of receipts by which the vendor accepted a document "
        "that the ledger holds.",
    )
    receipts: tuple[ReceiptStatus, ...] | None = Field(
        default=None,
        max_length=64,
        json_schema_extra=map_list("digest"),
        description="receipts lists the results, one per receipt.",
    )
    conditions: tuple[Condition, ...] | None = Field(
        default=None,
        max_length=16,
        json_schema_extra=map_list("type"),
        description="conditions are Ready, Reconciling, Stalled and Verified.",
    )


class UsageReceipt(ApiModel):
    """Receipts imported as an object, and their results."""

    api_version: str = ""
    kind: str = "UsageReceipt"
    metadata: ObjectMeta
    spec: UsageReceiptSpec = Field(description="spec holds the receipts.")
    status: UsageReceiptStatus | None = Field(
        default=None,
        description="status is the result of each receipt. Only the operator writes it.",
    )
