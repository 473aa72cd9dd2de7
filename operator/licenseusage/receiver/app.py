"""The receiver's ASGI application: the protocol, the pages, and common headers of all answers."""

from typing import Any

import structlog
from anyio import CapacityLimiter, to_thread
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import licenseusage
from licenseusage.clock import Clock
from licenseusage.errors import Retryable
from licenseusage.reasons import Reason
from licenseusage.receiver import documented, endpoint, files, pages, problems, uploads
from licenseusage.receiver.access import Doorkeeper, PagesAccess
from licenseusage.receiver.bundles import BundleIntake
from licenseusage.receiver.endpoint import endpoint_of, problem_response
from licenseusage.receiver.health import Health
from licenseusage.receiver.history import History
from licenseusage.receiver.intake import Intake
from licenseusage.receiver.receipts import ReceiptSigner
from licenseusage.receiver.rendering import Pages
from licenseusage.receiver.requestbody import FilePlaces, RequestRefused
from licenseusage.receiver.store import ReceiverDatabase
from licenseusage.reports.keys import SigningKey, VendorKeys
from licenseusage.reports.refused import Refused

log = structlog.get_logger("licenseusage.receiver")

THREADS = 8
"""Requests at work at a time: writers queue for one lock anyway, and readers must not starve."""
FILE_THREADS = 2
"""Bundles at work at a time: each may be thousands of documents, and others must not wait."""
RETRY_AFTER_SECONDS = 30


def create_app(
    *,
    store: ReceiverDatabase,
    vendor_keys: VendorKeys,
    receipt_key: SigningKey,
    clock: Clock,
    access: PagesAccess,
) -> FastAPI:
    """Return the application.

    Args:
        store: Where documents are kept; the caller closes it.
        vendor_keys: The published keys: which licences are honoured, which receipts verify.
        receipt_key: Signs receipts; one of ``vendor_keys``.
        clock: Tells when a document arrives.
        access: Who may see the pages.
    """
    threads = CapacityLimiter(THREADS)
    app = FastAPI(
        title="LicenseUsage receiver",
        version=licenseusage.__version__,
        summary="Takes signed usage reports and answers with signed receipts.",
        description="The vendor's side of the signed usage report format, version 1.",
        docs_url=None,  # the usual page loads scripts from elsewhere; pages.py has one without
        redoc_url=None,
        redirect_slashes=False,
    )
    signer = ReceiptSigner(receipt_key, vendor_keys)
    intake = Intake(store, vendor_keys, signer, clock)
    app.include_router(endpoint.routes(intake, threads))
    bundles = BundleIntake(intake, store, vendor_keys, clock)
    places, for_files = FilePlaces(), CapacityLimiter(FILE_THREADS)
    history = History(intake, store, vendor_keys, clock)
    app.include_router(files.routes(bundles, history, places, for_files))
    door, show = Doorkeeper(access, clock), Pages()
    app.include_router(pages.routes(store, clock, door, threads, lambda: app.openapi(), show))
    desk = uploads.Desk(bundles, intake, store, clock)
    app.include_router(uploads.routes(desk, door, places, for_files, show))
    app.add_middleware(CommonHeaders)
    _add_health(app, Health(store, clock))
    _add_problems(app)
    _complete_openapi(app)
    return app


class CommonHeaders:
    """Adds the headers of every answer; pages set their own, wider content policy."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and add the headers to the answer's start."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                present = {name.lower() for name, _ in message["headers"]}
                added = [item for item in _HEADERS if item[0] not in present]
                message = {**message, "headers": [*message["headers"], *added]}
            await send(message)

        await self._app(scope, receive, send_with_headers)


_HEADERS = [
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
]


def _add_health(app: FastAPI, health: Health) -> None:
    # A place of its own: a database that is locked must not hold up those who read.
    thread = CapacityLimiter(1)

    @app.get(
        "/healthz",
        tags=["operation"],
        summary="Whether documents can be stored",
        responses={
            200: {"description": "Something was stored within the last seconds."},
            503: documented.problem(
                "Nothing can be stored now: the disk is full, or the database does not answer. "
                "The log says why.",
                retry=True,
            ),
        },
    )
    async def healthz() -> dict[str, str]:
        await to_thread.run_sync(health.check, limiter=thread)
        return {"status": "ok"}


def _add_problems(app: FastAPI) -> None:
    """Turn every failure into a problem (RFC 9457)."""

    async def answer(request: Request, failure: Exception) -> Response:
        error, detail = _problem_of(failure)
        body = problems.problem(endpoint_of(request), error, detail)
        response = problem_response(body)
        match failure:
            case HTTPException(headers=dict() as headers):
                response.headers.update(headers)
            case RequestRefused(retry_after_seconds=int() as seconds):
                response.headers["Retry-After"] = str(seconds)
            case Retryable():
                response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
                log.error("not stored", reason=failure.reason, seen=failure.message)
        log.info("refused", path=request.scope["path"][:200], error=error, status=body.status)
        return response

    for kind in (
        Refused,
        RequestRefused,
        RequestValidationError,
        Retryable,
        HTTPException,
        Exception,
    ):
        app.add_exception_handler(kind, answer)


def _problem_of(failure: Exception) -> tuple[Reason, str]:
    """Return class and detail; for a failure of ours only the fact that it happened."""
    match failure:
        case Refused():
            return failure.error, failure.message
        case RequestRefused():
            return failure.error, failure.detail
        case RequestValidationError():  # the one thing FastAPI validates is an id in the address
            return Reason.IDENTIFIER_MISMATCH, "the address does not name a document or a chain"
        case Retryable():
            return problems.STORAGE, "nothing can be stored now; send it again later"
        case HTTPException(status_code=405):
            return Reason.METHOD_NOT_ALLOWED, problems.CLASSES[Reason.METHOD_NOT_ALLOWED]
        case HTTPException():
            return Reason.NOT_FOUND, problems.CLASSES[Reason.NOT_FOUND]
    return Reason.INTERNAL_ERROR, problems.CLASSES[Reason.INTERNAL_ERROR]


def _complete_openapi(app: FastAPI) -> None:
    """Add the problem schemas, which FastAPI would only write down as application/json."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        document = generate()
        # FastAPI documents an answer of its own for a wrong path; here that is a problem as well.
        for operations in document["paths"].values():
            for operation in operations.values():
                described = operation["responses"].get("422", {}).get("description")
                if described == "Validation Error":
                    del operation["responses"]["422"]
        document["components"] = {"schemas": documented.components()}
        return document

    app.openapi = openapi  # type: ignore[method-assign]
