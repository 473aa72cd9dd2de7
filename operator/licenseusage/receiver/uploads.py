"""The page that takes a bundle from a person, and gives the receipts to take back.

The protocol takes a bundle from anybody, since its documents are signed. This page also shows what
was in it, so that it is open to those who may see the other pages, and only to forms of its own.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from urllib.parse import parse_qs

import structlog
from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Request, Response

from licenseusage.clock import Clock
from licenseusage.errors import Retryable
from licenseusage.receiver import problems
from licenseusage.receiver.access import Doorkeeper, Refusal, cross_site
from licenseusage.receiver.bundles import BundleIntake
from licenseusage.receiver.files import Format, log_bundle, receipts_response
from licenseusage.receiver.intake import Intake
from licenseusage.receiver.multipart import MAX_OVERHEAD, file_in
from licenseusage.receiver.rendering import Pages
from licenseusage.receiver.requestbody import (
    FILE_SECONDS,
    READ_SECONDS,
    FilePlaces,
    RequestRefused,
    bundle_text,
    read_body,
)
from licenseusage.receiver.store import ReceiverDatabase
from licenseusage.receiver.uploadviews import UploadPage, explained, upload_page
from licenseusage.reports.bundle import MAX_CHARACTERS_IN_FILE, MAX_LINES
from licenseusage.reports.refused import Refused

log = structlog.get_logger("licenseusage.receiver")

FIELD = "bundle"
"""Name of the form's field with the file."""
_DRAINED = 2**31
"""Whoever sends a whole disk by mistake still gets a page that says so."""
_LIST_BYTES = 72 * MAX_LINES + 1024
_DIGESTS = re.compile(r"[0-9a-f]{64}(,[0-9a-f]{64})*")


@dataclass(frozen=True, slots=True)
class Desk:
    """What the routes do in a thread."""

    bundles: BundleIntake
    intake: Intake
    store: ReceiverDatabase
    clock: Clock

    def take(self, content_type: str, body: bytes) -> UploadPage:
        """Take the file of a form in.

        Raises:
            Refused: as ``BundleIntake.take``; nothing was stored.
            RequestRefused: the form has no file.
            Retryable: a document could not be stored.
        """
        data = file_in(content_type, body, FIELD)
        result = self.bundles.take(bundle_text(data))
        log_bundle(result)
        return upload_page(result)

    def receipts(self, digests: Sequence[str]) -> list[tuple[str | None, str]]:
        """Return namespace and receipt of each document that is held; others are left out.

        Args:
            digests: SHA-256 of documents, in hex.

        Raises:
            Retryable: the database did not answer.
        """
        with self.store.read() as reading:
            documents = [reading.document(f"sha256:{each}") for each in digests]
            placed = [
                (reading.chain(document.chain_id).namespace, document)
                for document in documents
                if document is not None
            ]
        return [
            (namespace, self.intake.receipt_again(document).receipt)
            for namespace, document in placed
        ]


def routes(
    desk: Desk, door: Doorkeeper, places: FilePlaces, threads: CapacityLimiter, show: Pages
) -> APIRouter:
    """Return the routes; files are judged in at most ``threads`` threads."""
    router = APIRouter(include_in_schema=False)

    def refusal_of(request: Request) -> Refusal | None:
        return door.refusal(request) or cross_site(request)

    @router.get("/bundles")
    async def form(request: Request) -> Response:
        if refusal := door.refusal(request):
            return show.refusal(refusal)
        return show.form("upload.html", result=None, failure=None)

    @router.post("/bundles")
    async def upload(request: Request) -> Response:
        if refusal := refusal_of(request):
            return show.refusal(refusal)
        try:
            async with places.place():
                content_type = request.headers.get("content-type", "")
                body = await read_body(
                    request,
                    limit=MAX_CHARACTERS_IN_FILE + MAX_OVERHEAD,
                    seconds=FILE_SECONDS,
                    drained=_DRAINED,
                )
                take = partial(desk.take, content_type, body)
                result = await to_thread.run_sync(take, limiter=threads)
        except (Refused, RequestRefused, Retryable) as failure:
            return _failed(show, failure)
        return show.form("upload.html", result=result, failure=None)

    @router.post("/bundles/receipts")
    async def receipts(request: Request) -> Response:
        if refusal := refusal_of(request):
            return show.refusal(refusal)
        try:
            body = await read_body(request, limit=_LIST_BYTES, seconds=READ_SECONDS)
            digests, form = _asked(body)
            find = partial(desk.receipts, digests)
            response = receipts_response(await to_thread.run_sync(find, limiter=threads), form)
        except (Refused, RequestRefused, Retryable) as failure:
            return _failed(show, failure)
        day = datetime.fromtimestamp(desk.clock.now_ms() // 1000, UTC).strftime("%Y-%m-%d")
        ending = "yaml" if form is Format.YAML else "txt"
        name = f"receipts-{day}.{ending}"
        response.headers["content-disposition"] = f'attachment; filename="{name}"'
        return response

    return router


@dataclass(frozen=True, slots=True)
class Failure:
    """A file that was not taken: its class, and a sentence for people."""

    error: str
    words: str


def _failed(show: Pages, failure: Refused | RequestRefused | Retryable) -> Response:
    match failure:
        case Refused():
            error = failure.error
            words = f"{explained(error, failure.message)} Nothing of the file is stored."
        case RequestRefused():
            error, words = failure.error, f"{failure.detail[:1].upper()}{failure.detail[1:]}."
        case _:
            log.error("not stored", reason=failure.reason, seen=failure.message)
            error = problems.STORAGE
            words = (
                "Not all of it could be stored. Send the same file again: what was stored already "
                "is known then, and nothing counts twice."
            )
    status = problems.status_of(error)
    log.info("upload refused", error=error, status=status)
    return show.form("upload.html", status, result=None, failure=Failure(error, words))


def _asked(body: bytes) -> tuple[list[str], Format]:
    """Return which receipts are asked for, and how; nothing that is not ours is looked up."""
    fields = parse_qs(body.decode("ascii", "replace"), max_num_fields=4)
    listed, form = fields.get("documents", [""])[0], fields.get("format", [""])[0]
    digests = listed.split(",") if _DIGESTS.fullmatch(listed) else []
    return digests[:MAX_LINES], Format.YAML if form == Format.YAML else Format.TEXT
