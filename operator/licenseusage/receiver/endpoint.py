"""Requests with one document: ``PUT`` of ``/v1/keys``, ``/v1/licenses``, ``/v1/reports`` (§9)."""

import re
from collections.abc import Callable
from functools import partial
from typing import Annotated

import structlog
from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Path, Request, Response
from starlette.convertors import Convertor, register_url_convertor

from licenseusage.receiver import documented, problems
from licenseusage.receiver.intake import Intake
from licenseusage.receiver.receipts import IssuedReceipt
from licenseusage.receiver.requestbody import MEDIA_TYPE, read_token
from licenseusage.reports.receipt import ReceiptVerdict
from licenseusage.reports.typs import ENROLMENT, LICENSE, MAX_CHARACTERS, REPORT

log = structlog.get_logger("licenseusage.receiver")

_STATUS = {ReceiptVerdict.REJECTED: 422, ReceiptVerdict.CONFLICT: 409}


class _Rest(Convertor[str]):
    """The rest of a path with every character: Starlette's own ``path`` stops at a line feed."""

    regex = r"[\s\S]*"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("rest", _Rest())

_BASE_URL = re.compile(r"https?://[A-Za-z0-9.\[\]:_-]{1,255}(/[A-Za-z0-9._~/-]*)?")

Jti = Annotated[
    str,
    Path(
        pattern=documented.JTI_PATTERN,
        description="Id of the document: its chain's id and its position. The payload's `jti`.",
        examples=["b1ac80118ccb379a38bb30ffa6c9c9c7-0000000001"],
    ),
]

LicenseId = Annotated[
    str,
    Path(
        pattern=documented.NAME_PATTERN,
        max_length=128,
        description="Id of the licence, percent-encoded where it has a `/`. The payload's `jti`.",
        examples=["lic-2027-0001"],
    ),
]


def routes(intake: Intake, threads: CapacityLimiter) -> APIRouter:
    """Return the protocol's routes; documents are judged in at most ``threads`` threads."""
    router = APIRouter(prefix="/v1", tags=["protocol"])
    answered = partial(_answered, threads)

    @router.put(
        "/keys/{jti}",
        summary="Take an enrolment or a succession",
        status_code=201,
        response_class=Response,
        responses=documented.put_responses(
            "`ReportConflict`, `ChainForked`, `KeyRetired` or `ChainGap`: it contradicts the key "
            "chain. Kept as evidence; the receipt says `Conflict`.",
            rejected=None,
        ),
        openapi_extra=documented.token_body(
            MAX_CHARACTERS[ENROLMENT], "`usage-enrolment+jwt` or `usage-key-succession+jwt`."
        ),
    )
    async def put_key(request: Request, jti: Jti) -> Response:
        """An enrolment makes an installation known, by its own key and a licence of this vendor."""
        return await answered(request, jti, MAX_CHARACTERS[ENROLMENT], intake.put_key_statement)

    @router.put(
        "/reports/{jti}",
        summary="Take a report",
        status_code=201,
        response_class=Response,
        responses=documented.put_responses(
            "`ReportConflict`, `ChainForked` or `KeyRetired`: it contradicts what is held. Kept as "
            "evidence; the receipt says `Conflict`.",
            rejected="Authentic, but its content is refused: stored as a link of its chain; the "
            "receipt says `Rejected`.",
        ),
        openapi_extra=documented.token_body(MAX_CHARACTERS[REPORT], "`usage-report+jwt`."),
    )
    async def put_report(request: Request, jti: Jti) -> Response:
        """Reports may arrive in any order and any number of times."""
        return await answered(request, jti, MAX_CHARACTERS[REPORT], intake.put_report)

    @router.put(
        "/licenses/{license_id:rest}",
        summary="Take a licence into the register",
        status_code=201,
        response_class=Response,
        responses=documented.register_responses(),
        openapi_extra=documented.token_body(MAX_CHARACTERS[LICENSE], "`usage-license+jwt`."),
    )
    async def put_license(request: Request, license_id: LicenseId) -> Response:
        """A renewed licence of this vendor, before the first report under it; harmless again."""
        token = await read_token(request, limit=MAX_CHARACTERS[LICENSE])
        known = await to_thread.run_sync(intake.put_license, license_id, token, limiter=threads)
        log.info("licence registered", license=license_id[:128], known=known)
        return Response(status_code=200 if known else 201)

    return router


async def _answered(
    threads: CapacityLimiter,
    request: Request,
    jti: str,
    limit: int,
    take: Callable[[str, str], IssuedReceipt],
) -> Response:
    """Read a token of at most so many characters and answer what ``take`` says of it."""
    token = await read_token(request, limit=limit)
    answer = await to_thread.run_sync(take, jti, token, limiter=threads)
    log.info("answered", document=jti, verdict=answer.verdict.value, known=answer.known)
    if answer.verdict is ReceiptVerdict.ACCEPTED:
        status = 200 if answer.known else 201
        return Response(answer.receipt, status, media_type=MEDIA_TYPE)
    status, error = _STATUS[answer.verdict], answer.error or ""
    body = problems.signed_problem(endpoint_of(request), status, error, answer.receipt)
    return problem_response(body)


def endpoint_of(request: Request) -> str:
    """Return this receiver's address as the request gives it; empty if that is no plain address."""
    base_url = str(request.base_url)
    return base_url if _BASE_URL.fullmatch(base_url) else ""


def problem_response(body: problems.Problem) -> Response:
    """Return a problem as a response."""
    return Response(body.model_dump_json(), body.status, media_type=problems.MEDIA_TYPE)
