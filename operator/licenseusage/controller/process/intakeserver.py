"""``POST /v1/activity`` on aiohttp, which kopf brings: the intake's protocol (docs/push.md).

Refusals are problem documents (RFC 9457) that name the fix and quote nothing of what was sent.
"""

import asyncio
import math
import ssl
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import orjson
import structlog
from aiohttp import web

from licenseusage.controller.effects.intake import Intake
from licenseusage.controller.process.connections import Connections
from licenseusage.controller.rules.pushes import PushTarget
from licenseusage.controller.settings import Settings
from licenseusage.errors import Failure, Retryable, Stalled, UsageError
from licenseusage.reasons import Reason
from licenseusage.reasons.book import BOOK
from licenseusage.sources.pushed.cloudevents import MEDIA_TYPES, BadPushError, Pushed, read
from licenseusage.tlsfiles import ServedCertificate

PATH = "/v1/activity"
RECEIPT_HEADER = "LicenseUsage-Receipt"
MOST_BYTES = 1024 * 1024
MOST_EVENTS = 2000
_BODY_SECONDS = 10.0
_LONGEST_RECEIPT = 64

_STATUS = {
    Reason.NOT_FOUND: 404,
    Reason.METHOD_NOT_ALLOWED: 405,
    Reason.REQUEST_TIMEOUT: 408,
    Reason.REQUEST_CUT: 400,
    Reason.UNSUPPORTED_MEDIA_TYPE: 415,
    Reason.PUSH_TOKEN_MISSING: 401,
    Reason.PUSH_TOKEN_REFUSED: 401,
    Reason.NO_PUSH_SOURCE: 403,
    Reason.PUSH_AMBIGUOUS: 409,
    Reason.PUSH_TOO_LARGE: 413,
    Reason.PUSH_TOO_FAST: 429,
    Reason.PUSH_INVALID: 400,
    Reason.EVENT_INVALID: 422,
    Reason.EVENT_IN_FUTURE: 422,
    Reason.HEARTBEAT_AHEAD: 422,
    Reason.HEARTBEAT_WENT_BACK: 409,
    Reason.PUSH_RECEIPT_UNKNOWN: 409,
    Reason.INTERNAL_ERROR: 500,
}
"""Reason -> HTTP status; any other is the operator's own trouble: 503."""

_OF_THE_PRODUCT = frozenset(
    {
        Reason.UNSUPPORTED_MEDIA_TYPE,
        Reason.PUSH_TOO_LARGE,
        Reason.PUSH_INVALID,
        Reason.EVENT_INVALID,
        Reason.EVENT_IN_FUTURE,
        Reason.HEARTBEAT_AHEAD,
        Reason.HEARTBEAT_WENT_BACK,
    }
)
"""What a product has to correct, so that its object says it, too."""

_RETRY_SECONDS = 5
_log = structlog.get_logger(__name__)


def application(intake: Intake) -> web.Application:
    """Return the intake's application."""

    async def activity(request: web.Request) -> web.Response:
        return await _Exchange(intake, request).answer()

    async def problem(request: web.Request) -> web.Response:
        entry = BOOK.get(Reason.known(request.match_info["reason"], Reason.NOT_FOUND))
        assert entry is not None  # noqa: S101 - each reason has one
        return web.Response(text=f"{entry.means}.\n{entry.fix}\n")

    app = web.Application(middlewares=[_guarded], client_max_size=MOST_BYTES)
    app.add_routes([web.post(PATH, activity), web.get("/v1/problems/{reason}", problem)])
    return app


async def serve(
    intake: Intake, host: str | None, port: int, tls: ssl.SSLContext | None = None
) -> tuple[web.AppRunner, asyncio.Server, int]:
    """Start the server; return what to clean up and the port it listens on (for port 0).

    Raises:
        OSError: The address is taken or not ours.
    """
    app = application(intake)

    async def answered(request: web.Request, _: web.StreamResponse) -> None:
        connections.answered(request.transport)

    app.on_response_prepare.append(answered)
    runner = web.AppRunner(app, access_log=None, auto_decompress=False, keepalive_timeout=30)
    await runner.setup()
    assert runner.server is not None  # noqa: S101 - after setup
    connections = Connections(runner.server)
    server = await asyncio.get_running_loop().create_server(
        connections, host, port, ssl=tls, backlog=128
    )
    bound: int = server.sockets[0].getsockname()[1]
    return runner, server, bound


async def open_for(settings: Settings, intake: Intake, stack: AsyncExitStack) -> int | None:
    """Start the server where the settings want it; it ends with ``stack``. Return its port.

    Raises:
        Stalled: ``SettingsInvalid``: the address or the certificate cannot be used.
    """
    address = settings.intake_host_port
    if address is None:
        return None
    certificate = ServedCertificate(
        settings.intake_certificate_file,
        settings.intake_key_file,
        f"LICENSEUSAGE_INTAKE_CERTIFICATE_FILE={settings.intake_certificate_file} and "
        "INTAKE_KEY_FILE",
    )
    try:
        runner, server, port = await serve(
            intake, *address, certificate.serving() if settings.intake_certificate_file else None
        )
    except OSError as error:
        raise Stalled(
            Reason.SETTINGS_INVALID,
            f"LICENSEUSAGE_INTAKE_ADDRESS={settings.intake_address} cannot be listened on: "
            f"{error.strerror}.",
        ) from None
    stack.push_async_callback(runner.cleanup)
    stack.callback(server.close)
    return port


class _Exchange:
    """One request and its answer."""

    def __init__(self, intake: Intake, request: web.Request) -> None:
        self._intake, self._request = intake, request
        self._target: PushTarget | None = None
        self._producer = ""

    async def answer(self) -> web.Response:
        metrics = self._intake.metrics
        try:
            body = await self._taken()
        except BadPushError as error:
            return self._refused(Stalled(error.reason, str(error)))
        except UsageError as error:
            return self._refused(error)
        metrics.pushes.labels("Taken", "").inc()
        return _json(200, body)

    async def _taken(self) -> dict[str, Any]:
        request, intake = self._request, self._intake
        caller = await intake.callers.caller(_token(request), request.remote or "")
        with intake.admitted(caller) as target:
            self._target = target
            media_type = self._media_type()
            body = await self._body()
            pushed = self._read(media_type, body)
            self._producer = pushed.producer
            answer = await intake.take(target, pushed, _receipt(request))
        events = intake.metrics.pushed_events
        events.labels("Taken").inc(answer.accepted)
        events.labels("OutsideCycles").inc(answer.outside)
        events.labels("NotCounted").inc(answer.excluded)
        taken = {"accepted": answer.accepted, "outside": answer.outside}
        taken["excluded"] = answer.excluded
        if answer.receipt:
            return {**taken, "receipt": answer.receipt}
        if target.source.push.producers and pushed.producer:
            warning = (
                f"push.producers of LicenseUsage {target.key.name} does not name the attribute "
                "source of these events: they count, and the number has no upper bound"
            )
            return {**taken, "warning": warning}
        return taken

    def _media_type(self) -> str:
        request = self._request
        if request.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise Stalled(Reason.UNSUPPORTED_MEDIA_TYPE, "send the body without Content-Encoding")
        if request.content_type not in MEDIA_TYPES:
            raise Stalled(
                Reason.UNSUPPORTED_MEDIA_TYPE,
                f"Content-Type must be {', '.join(MEDIA_TYPES[:2])}, or {MEDIA_TYPES[2]} with the "
                "attributes as headers",
            )
        return request.content_type

    async def _body(self) -> bytes:
        try:
            async with asyncio.timeout(_BODY_SECONDS):
                return await self._request.read()
        except web.HTTPRequestEntityTooLarge:
            raise Stalled(
                Reason.PUSH_TOO_LARGE,
                f"the body has more than {MOST_BYTES} bytes: send smaller batches",
            ) from None
        except TimeoutError:
            raise Retryable(
                Reason.REQUEST_TIMEOUT, f"the body did not come within {_BODY_SECONDS:.0f} s"
            ) from None
        except (web.HTTPException, ConnectionError, asyncio.IncompleteReadError):
            raise Retryable(Reason.REQUEST_CUT, "the body ended before it was complete") from None

    def _read(self, media_type: str, body: bytes) -> Pushed:
        headers = {name.lower(): value for name, value in self._request.headers.items()}
        return read(media_type, headers, body, MOST_EVENTS)

    def _refused(self, error: UsageError) -> web.Response:
        self._intake.metrics.pushes.labels("Refused", str(error.reason)).inc()
        failure = Failure.of(error)
        if self._target is not None:
            if error.reason in _OF_THE_PRODUCT:
                self._intake.refuse(self._target, self._producer, failure)
            _log.info("push refused", object=str(self._target.key), reason=str(error.reason))
        wait_s = getattr(error, "wait_s", None)
        return refusal(error.reason, error.message, wait_s)


def refusal(reason: Reason, detail: str, wait_s: float | None = None) -> web.Response:
    """Return a problem document (RFC 9457)."""
    status, entry = _STATUS.get(reason, 503), BOOK[reason]
    headers = {}
    if wait_s is None and status in (408, 429, 500, 503):
        wait_s = _RETRY_SECONDS
    if wait_s is not None:
        headers["Retry-After"] = str(max(1, math.ceil(wait_s)))
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    body = {
        "type": f"/v1/problems/{reason}",
        "title": entry.means,
        "status": status,
        "detail": detail,
        "error": str(reason),
        "fix": entry.fix,
    }
    return _json(status, body, "application/problem+json", headers)


@web.middleware
async def _guarded(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Turn what the server itself refuses, and defects, into problems of our own."""
    try:
        return await handler(request)
    except web.HTTPNotFound:
        return refusal(Reason.NOT_FOUND, f"there is POST {PATH} here, and nothing else")
    except web.HTTPMethodNotAllowed:
        return refusal(Reason.METHOD_NOT_ALLOWED, f"use POST {PATH}")
    except web.HTTPException:
        return refusal(Reason.PUSH_INVALID, "the request is not one that this server takes")
    except Exception:
        _log.exception("the intake met a defect")
        return refusal(Reason.INTERNAL_ERROR, "a defect of the operator; see its log")


def _token(request: web.Request) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Stalled(
            Reason.PUSH_TOKEN_MISSING,
            "send the pod's projected service account token: Authorization: Bearer <token>",
        )
    return token.strip()


def _receipt(request: web.Request) -> str | None:
    given = request.headers.get(RECEIPT_HEADER)
    if given is not None and len(given) > _LONGEST_RECEIPT:
        raise Stalled(
            Reason.PUSH_INVALID, f"header {RECEIPT_HEADER} is not a receipt of this intake"
        )
    return given or None


def _json(
    status: int,
    body: dict[str, Any],
    media_type: str = "application/json",
    headers: dict[str, str] | None = None,
) -> web.Response:
    return web.Response(
        status=status, body=orjson.dumps(body), content_type=media_type, headers=headers
    )
