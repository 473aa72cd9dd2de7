"""The protocol's requests for whole files: ``POST /v1/bundles`` and ``POST /v1/history`` (§9)."""

from enum import StrEnum
from functools import partial
from typing import Annotated

import structlog
from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Query, Request, Response

from licenseusage.reasons import Reason
from licenseusage.receiver import documented
from licenseusage.receiver.answers import bundle_answer
from licenseusage.receiver.bundles import BundleIntake, BundleResult
from licenseusage.receiver.documented import YAML
from licenseusage.receiver.history import History
from licenseusage.receiver.requestbody import TEXT, FilePlaces, RequestRefused, read_bundle
from licenseusage.reports.bundle import MAX_CHARACTERS_IN_FILE
from licenseusage.reports.receiptsfile import (
    receipts_text,
    usage_receipts,
    usage_receipts_yaml,
)
from licenseusage.reports.typs import BUNDLE, MAX_CHARACTERS

log = structlog.get_logger("licenseusage.receiver")

_TYPE = f"{TEXT}; charset=us-ascii"


class Format(StrEnum):
    """How receipts are answered."""

    TEXT = "text"
    YAML = "yaml"
    JSON = "json"


FormatName = Annotated[
    str,
    Query(
        alias="format",
        description="`text`: a receipts file. `yaml`: UsageReceipt objects for `kubectl apply`, a "
        "set for each namespace. `json`: what became of each line, also of refused ones.",
        json_schema_extra={"enum": [each.value for each in Format]},
    ),
]
ChainId = Annotated[
    str | None,
    Query(
        pattern="^[0-9a-f]{32}$",
        description="Only this chain of reports, with all key statements. Needed if everything "
        "together is longer than 16 MiB.",
    ),
]


def routes(
    bundles: BundleIntake, history: History, places: FilePlaces, threads: CapacityLimiter
) -> APIRouter:
    """Return the routes; files are judged in at most ``threads`` threads."""
    router = APIRouter(prefix="/v1", tags=["protocol"])

    @router.post(
        "/bundles",
        summary="Take a bundle",
        response_class=Response,
        responses=documented.bundle_responses(),
        openapi_extra=documented.bundle_body(
            MAX_CHARACTERS_IN_FILE,
            "`usage-bundle+jwt`, then an enrolment, successions and reports; at most 4096 lines.",
        ),
    )
    async def post_bundle(request: Request, format_name: FormatName = Format.TEXT) -> Response:
        """Each line is handled as if it had been put by itself; the same file again is harmless."""
        if format_name not in list(Format):
            raise RequestRefused(Reason.NOT_FOUND, "format is text, yaml or json")
        async with places.place():
            data = await read_bundle(request)
            result = await to_thread.run_sync(bundles.take, data, limiter=threads)
        log_bundle(result)
        if format_name == Format.JSON:
            answer = bundle_answer(result).model_dump_json()
            return Response(answer, media_type="application/json")
        return receipts_response(result.receipts, Format(format_name))

    @router.post(
        "/history",
        summary="Give an installation its own documents back",
        response_class=Response,
        responses=documented.history_responses(),
        openapi_extra=documented.bundle_body(
            MAX_CHARACTERS[BUNDLE] + 1,
            "A bundle's manifest alone: `usage-bundle+jwt` with `count` 0, signed within 300 s by "
            "the installation's newest key.",
        ),
    )
    async def post_history(request: Request, chain: ChainId = None) -> Response:
        """For an operator that lost its ledger, or was restored from an old one."""
        async with places.place():
            data = await read_bundle(request, limit=MAX_CHARACTERS[BUNDLE] + 1)
            answer = partial(history.answer, data, chain)
            lines = await to_thread.run_sync(answer, limiter=threads)
        log.info("history given", lines=lines.count("\n"))
        return Response(lines, media_type=_TYPE)

    return router


def receipts_response(receipts: list[tuple[str | None, str]], form: Format) -> Response:
    """Return receipts, each with its namespace, in the form asked for."""
    if form is Format.TEXT:
        return Response(receipts_text(token for _, token in receipts), media_type=_TYPE)
    objects = usage_receipts(receipts)
    text = usage_receipts_yaml(objects) if objects else _NO_OBJECTS
    return Response(text, media_type=YAML)


_NO_OBJECTS = (
    "# No receipt of a report, hence no namespace that a UsageReceipt could be for.\n"
    "# Receipts of key statements alone travel as a receipts file.\n"
)


def log_bundle(result: BundleResult) -> None:
    """Log who sent a bundle and what became of its lines, in counts."""
    refused = [line for line in result.lines if line.receipt is None]
    log.info(
        "bundle taken",
        installation=result.sender.installation,
        lines=len(result.lines),
        known=sum(line.known for line in result.lines),
        refused=len(refused),
        errors=sorted({str(line.error) for line in result.lines if line.error})[:16],
    )
