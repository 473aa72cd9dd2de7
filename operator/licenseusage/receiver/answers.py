"""What became of a bundle, for programs: ``POST /v1/bundles?format=json``."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from licenseusage.receiver.bundles import BundleResult, LineResult
from licenseusage.reports.receipt import ReceiptVerdict

REFUSED = "Refused"
"""The result of a line that has no signed verdict."""

_RESULTS = [*(verdict.value for verdict in ReceiptVerdict), REFUSED]


class LineAnswer(BaseModel):
    """One line of the bundle, as it was answered."""

    model_config = ConfigDict(extra="forbid")

    line: Annotated[int, Field(ge=2, description="Its number; the manifest is line 1.")]
    type: Annotated[str, Field(description="The document's `typ`.")]
    result: Annotated[
        str,
        Field(
            description="`Refused`: unsigned; nothing of the line is stored.",
            json_schema_extra={"enum": list(_RESULTS)},
        ),
    ]
    known: Annotated[bool, Field(description="It had been stored before: nothing changed.")]
    error: Annotated[str | None, Field(description="The error class, unless `Accepted`.")]
    detail: Annotated[str, Field(description="Why it was `Refused`, for people.")]
    receipt: Annotated[str | None, Field(description="The receipt; null if `Refused`.")]


class BundleAnswer(BaseModel):
    """A bundle whose manifest and key chain are in order."""

    model_config = ConfigDict(extra="forbid")

    installation: Annotated[str, Field(description="Who packed it.")]
    subscription: Annotated[str, Field(description="Under which contract.")]
    lines: Annotated[list[LineAnswer], Field(description="In the order of the file.")]


def bundle_answer(result: BundleResult) -> BundleAnswer:
    """Return the answer to a bundle that was taken in."""
    return BundleAnswer(
        installation=result.sender.installation,
        subscription=result.sender.terms.subscription,
        lines=[_line(line) for line in result.lines],
    )


def _line(line: LineResult) -> LineAnswer:
    return LineAnswer(
        line=line.number,
        type=line.typ,
        result=REFUSED if line.verdict is None else line.verdict.value,
        known=line.known,
        error=line.error,
        detail=line.message,
        receipt=line.receipt,
    )
