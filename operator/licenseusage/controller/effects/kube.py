"""The cluster as this operator needs it: raw JSON over HTTP, errors with a meaning.

No generated client: its typed pod LIST costs 11 times a raw one, and its 1,500 classes are most of
an image and of a start. A handful of verbs over a `Resource` is all. Bodies of answers never reach
a message: a Secret may be in them.
"""

import asyncio
import email.utils
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Any

import aiohttp
import msgspec
import orjson

from licenseusage.controller.effects.access import Access
from licenseusage.controller.rules.resources import Resource

FIELD_MANAGER = "licenseusage-operator"
PAGE = 500
_MERGE = "application/merge-patch+json"
_APPLY = "application/apply-patch+yaml"
_METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
_METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_TIMEOUT = aiohttp.ClientTimeout(total=30, connect=10)
_CONNECTIONS = 32
_ACCESS_SECONDS = 60.0  # a bound token is renewed some ten minutes before it ends


class KubeError(Exception):
    """The API server refused or did not answer.

    Attributes:
        status: HTTP status; 0 when there was no answer.
        what: Verb and object, for people: "list pods in namespace shop".
        message: The API server's own sentence, at most 300 characters; never a body.
    """

    def __init__(self, status: int, what: str, message: str) -> None:
        """Keep status, what was tried and the server's sentence."""
        super().__init__(f"{what}: {message}" if message else what)
        self.status, self.what, self.message = status, what, message


class NotFoundError(KubeError):
    """404: the object, or the whole kind, does not exist."""


class ForbiddenError(KubeError):
    """401 or 403: this operator may not do it."""


class TerminatingError(KubeError):
    """403: the namespace is being deleted, and nothing new can be made in it."""


class ConflictError(KubeError):
    """409: it exists already, or somebody changed it meanwhile."""


class UnavailableError(KubeError):
    """No answer, 429 or 5xx: try again later."""


class Kube:
    """A client of one API server; safe for concurrent use within one event loop.

    Attributes:
        host: The API server's URL, as at the start.
        server_date: Epoch seconds of the newest answer's ``Date`` header, and the loop's time
        when it
            came: what `reference_seconds` compares clocks with.
    """

    def __init__(self, sign_in: Callable[[], Access]) -> None:
        """Sign in now, and again once a minute and after a failure: files are renewed.

        Args:
            sign_in: Reads how the API server is reached; raises `KubeError`.
        """
        self._sign_in = sign_in
        self._access: Access | None = sign_in()
        self._signed_in = asyncio.get_running_loop().time()
        # Proxies of the environment are for the vendor; an API server inside the cluster is not
        # behind them (kopf ignores them too).
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=_CONNECTIONS),
            cookie_jar=aiohttp.DummyCookieJar(),
            read_bufsize=2**21,
            timeout=_TIMEOUT,
            trust_env=False,
        )
        self.host = self._access.server
        self._server_date: tuple[float, float] | None = None

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    def reference_seconds(self) -> float | None:
        """The API server's clock now, in epoch seconds, from its last answer; None before one."""
        if self._server_date is None:
            return None
        date, at = self._server_date
        return date + asyncio.get_running_loop().time() - at

    async def get(self, resource: Resource, namespace: str | None, name: str) -> dict[str, Any]:
        """Return one object.

        Raises:
            NotFoundError, ForbiddenError, UnavailableError: As the server says.
        """
        what = f"get {resource.plural} {_named(namespace, name)}"
        raw = await self._call("GET", resource.path(namespace, name), what)
        return _object(raw, what)

    async def version(self, resource: Resource, namespace: str, name: str) -> str:
        """Return a text that changes with one object; its content is not transferred.

        Raises:
            NotFoundError, ForbiddenError, UnavailableError: As the server says.
        """
        what = f"get {resource.plural} {_named(namespace, name)}"
        raw = await self._call("GET", resource.path(namespace, name), what, accept=_METADATA)
        return version_of(_object(raw, what))

    async def versions(self, resource: Resource, namespace: str, selector: str) -> str:
        """Return a text that changes with any object of a LIST; raises as `version`."""
        what = f"list {resource.plural} in namespace {namespace}"
        query = [("labelSelector", selector)] if selector else []
        path = resource.path(namespace)
        raw = await self._call("GET", path, what, query=query, accept=_METADATA_LIST)
        items = _object(raw, what).get("items") or []
        return versions_of(items)

    async def pages(
        self,
        resource: Resource,
        namespace: str | None,
        selector: str = "",
        *,
        metadata_only: bool = False,
    ) -> AsyncIterator[bytes]:
        """Yield the raw JSON of each page of a LIST (limit 500), so that the caller decodes typed.

        A continue token that expired (410) starts the LIST again from its beginning: a caller must
        key what it reads by name.
        """
        accept = _METADATA_LIST if metadata_only else "application/json"
        where = f" in namespace {namespace}" if namespace else ""
        what = f"list {resource.plural}{where}"
        token = ""
        while True:
            query = [("limit", str(PAGE))]
            if selector:
                query.append(("labelSelector", selector))
            if token:
                query.append(("continue", token))
            try:
                raw = await self._call(
                    "GET", resource.path(namespace), what, query=query, accept=accept
                )
            except KubeError as error:
                if error.status == 410 and token:
                    token = ""
                    continue
                raise
            yield raw
            token = _continuation(raw, what)
            if not token:
                return

    async def items(
        self, resource: Resource, namespace: str | None, selector: str = ""
    ) -> list[dict[str, Any]]:
        """Return every object of a LIST, by name, as raw JSON objects."""
        items: dict[tuple[str, str], dict[str, Any]] = {}
        async for raw in self.pages(resource, namespace, selector):
            for item in orjson.loads(raw).get("items") or []:
                meta = item["metadata"]
                items[meta.get("namespace", ""), meta["name"]] = item
        return list(items.values())

    async def create(
        self, resource: Resource, namespace: str | None, body: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Create an object and return it as stored; of some kinds it is only answered.

        Raises:
            ConflictError: One of that name exists.
            ForbiddenError, UnavailableError, KubeError: As the server says.
        """
        what = f"create {resource.plural} {_named(namespace, body['metadata'].get('name', ''))}"
        query = [("fieldManager", FIELD_MANAGER)]
        raw = await self._call("POST", resource.path(namespace), what, query=query, body=body)
        return _object(raw, what)

    async def replace(self, resource: Resource, body: Mapping[str, Any]) -> dict[str, Any]:
        """Put a changed object in the place of the one that was read, and return it as stored.

        The one that was read is known by its resourceVersion.

        Raises:
            ConflictError: Somebody changed it meanwhile.
            NotFoundError, ForbiddenError, UnavailableError, KubeError: As the server says.
        """
        meta = body["metadata"]
        what = f"update {resource.plural} {_named(meta['namespace'], meta['name'])}"
        query = [("fieldManager", FIELD_MANAGER)]
        path = resource.path(meta["namespace"], meta["name"])
        return _object(await self._call("PUT", path, what, query=query, body=body), what)

    async def merge(
        self, resource: Resource, namespace: str, name: str, body: Mapping[str, Any]
    ) -> None:
        """Merge-patch an object."""
        what = f"patch {resource.plural} {_named(namespace, name)}"
        query = [("fieldManager", FIELD_MANAGER)]
        await self._call(
            "PATCH", resource.path(namespace, name), what, query=query, body=body, content=_MERGE
        )

    async def apply(
        self, resource: Resource, body: Mapping[str, Any], field_manager: str = FIELD_MANAGER
    ) -> dict[str, Any]:
        """Server-side apply an object, which is made if it is absent; return it as stored.

        What the same field manager applied before and leaves out now is removed.

        Raises:
            ForbiddenError, UnavailableError, KubeError: As the server says.
        """
        return await self._apply(resource, body, "", field_manager)

    async def apply_status(
        self, resource: Resource, namespace: str, name: str, kind: str, status: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Server-side apply the whole status (what is left out is removed); return the object.

        Raises:
            NotFoundError: The object is gone; server-side apply to ``/status`` creates nothing.
            ForbiddenError, UnavailableError, KubeError: As the server says.
        """
        metadata = {"name": name, "namespace": namespace}
        body = {"kind": kind, "metadata": metadata, "status": status}
        return await self._apply(resource, body, "status", FIELD_MANAGER)

    async def _apply(
        self, resource: Resource, body: Mapping[str, Any], subresource: str, field_manager: str
    ) -> dict[str, Any]:
        namespace, name = body["metadata"]["namespace"], body["metadata"]["name"]
        part = f"{subresource} of " if subresource else ""
        what = f"apply {part}{resource.plural} {_named(namespace, name)}"
        raw = await self._call(
            "PATCH",
            resource.path(namespace, name, subresource),
            what,
            query=[("fieldManager", field_manager), ("force", "true")],
            body={"apiVersion": resource.api_version, **body},
            content=_APPLY,
        )
        return _object(raw, what)

    async def delete(self, resource: Resource, namespace: str, name: str) -> None:
        """Delete an object; one that is gone already is fine."""
        what = f"delete {resource.plural} {_named(namespace, name)}"
        try:
            await self._call("DELETE", resource.path(namespace, name), what)
        except NotFoundError:
            return

    async def _call(
        self,
        method: str,
        path: str,
        what: str,
        *,
        query: list[tuple[str, str]] | None = None,
        body: Mapping[str, Any] | None = None,
        content: str = "application/json",
        accept: str = "application/json",
    ) -> bytes:
        headers = {"Accept": accept, "User-Agent": FIELD_MANAGER}
        if body is not None:
            headers["Content-Type"] = content
        try:
            access = self._current_access()
            async with self._session.request(
                method,
                access.server + path,
                params=query,
                headers={**headers, **access.headers},
                data=None if body is None else orjson.dumps(body),
                ssl=access.tls,
                proxy=access.proxy,
                allow_redirects=False,  # nowhere else with these credentials
            ) as answer:
                raw = await answer.read()
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            self._access = None  # its certificate may be new, and so may our file of its CA
            detail = str(error) or type(error).__name__
            raise UnavailableError(
                0, what, f"the API server does not answer ({detail[:200]})"
            ) from None
        except KubeError as error:
            raise UnavailableError(0, what, error.message) from None
        self._note_date(answer.headers.get("Date"))
        if answer.status == 401:
            self._access = None  # the token may have been renewed
        if answer.status >= 300:
            raise _refusal(answer.status, what, raw)
        return raw

    def _current_access(self) -> Access:
        now = asyncio.get_running_loop().time()
        if self._access is None or now - self._signed_in >= _ACCESS_SECONDS:
            self._access, self._signed_in = self._sign_in(), now
        return self._access

    def _note_date(self, text: str | None) -> None:
        if not text:
            return
        try:
            date = email.utils.parsedate_to_datetime(text).timestamp()
        except ValueError:
            return
        self._server_date = date, asyncio.get_running_loop().time()


class _ListMeta(msgspec.Struct):
    continuation: str = msgspec.field(default="", name="continue")


class _Page(msgspec.Struct):
    metadata: _ListMeta


def _continuation(raw: bytes, what: str) -> str:
    try:
        return msgspec.json.decode(raw, type=_Page).metadata.continuation
    except msgspec.DecodeError:
        raise UnavailableError(0, what, "the API server's answer is not a list") from None


def _named(namespace: str | None, name: str) -> str:
    return f"{namespace}/{name}" if namespace else name


def version_of(item: Mapping[str, Any]) -> str:
    """Return a text that changes with an object, and when it is made anew."""
    meta = item["metadata"]
    return f"{meta['uid']}/{meta['resourceVersion']}"


def versions_of(items: Iterable[Mapping[str, Any]]) -> str:
    """Return a text that changes with any of these objects."""
    return " ".join(sorted(version_of(item) for item in items))


def _object(raw: bytes, what: str) -> dict[str, Any]:
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise UnavailableError(0, what, "the API server's answer is not JSON") from None
    if not isinstance(value, dict):
        raise UnavailableError(0, what, "the API server's answer is not an object")
    return value


def _refusal(status: int, what: str, raw: bytes) -> KubeError:
    """The server's Status object as an error of the class that says what can be done."""
    try:
        decoded = orjson.loads(raw)
        message = str(decoded["message"]) if decoded.get("kind") == "Status" else ""
        causes = decoded.get("details", {}).get("causes", ())
        terminating = any(cause.get("reason") == "NamespaceTerminating" for cause in causes)
    except (orjson.JSONDecodeError, KeyError, AttributeError, TypeError):
        message, terminating = "", False
    message = message[:300] or f"the API server answered {status}"
    if status == 404:
        return NotFoundError(status, what, message)
    if terminating:
        return TerminatingError(status, what, message)
    if status in (401, 403):
        return ForbiddenError(status, what, message)
    if status == 409:
        return ConflictError(status, what, message)
    if status == 429 or status >= 500:
        return UnavailableError(status, what, message)
    return KubeError(status, what, message)
