"""Messages of a broker's log, reduced to what a source reads of them, without who they name."""

import base64
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import msgspec

from licenseusage.sources.captures.anonymous import Anonymous, literals
from licenseusage.sources.captures.brokerlogs import RecordedLog
from licenseusage.sources.captures.reduced import not_made, plain, put
from licenseusage.sources.definition.expressions import Json, predicate, walk
from licenseusage.sources.definition.model import EffectiveSource
from licenseusage.sources.mending import NO_JSON, decoded

_NO_JSON = b"{"
_NO_BASE64 = "!"
_OTHER_TYPE = "another"


class MessageShape:
    """Where the members stand that are read of a message, by plain paths or choices of them.

    Attributes:
        kind: Its type; None: every type counts.
        time: When it happened.
        payload: The payload; empty: the message itself.
        ids: Of the payload, whatever ``users.id`` chooses from.
        conditions: What ``users.exclude`` reads of the payload, and ``ids`` does not.
    """

    def __init__(self, source: EffectiveSource) -> None:
        """Find the members.

        Raises:
            Stalled: ``CaptureNotMade``: one of its expressions cannot be anonymised; it is named.
        """
        self._source, log, users = source, source.events, source.users
        field = f"{source.read_by}."
        self.kind = (
            plain(source, f"{field}typePath", log.type_path)
            if log.type_path and log.types
            else None
        )
        self.time = plain(source, "users.time.path", users.last_active.path)
        self.payload = (
            plain(source, f"{field}payloadPath", log.payload_path) if log.payload_path else ()
        )
        ids = predicate(users.id).paths
        if ids is None:
            raise not_made(source, f"users.id ({users.id}) is no choice of plain paths")
        conditions = predicate(users.exclude).paths if users.exclude is not None else ()
        if conditions is None:
            raise not_made(source, f"users.exclude ({users.exclude}) reads whole payloads")
        self.ids = ids
        # What holds others comes before them.
        self.conditions = sorted((path for path in conditions if path not in ids), key=len)
        self._literal = set(literals(users.exclude or ""))

    def anonymised(self, log: RecordedLog, key: bytes) -> tuple[RecordedLog, tuple[str, ...]]:
        """Return the log without what names people, and ``excludeIds`` as they are in it.

        Args:
            log: As it was read.
            key: Random, and thrown away afterwards.
        """
        messages = [message for each in log.batches for message in each.batch.messages]
        ids = [name for message in messages for name in self._ids(message.data)]
        names = Anonymous(self._source.users, key, ids)
        made = []
        for each in log.batches:
            kept = [
                replace(message, data=self._reduced(message.data, names))
                for message in each.batch.messages
            ]
            made.append(replace(each, batch=replace(each.batch, messages=kept)))
        return replace(log, batches=tuple(made)), names.excluded(self._source.users.exclude_ids)

    def _ids(self, data: bytes) -> Iterator[Json]:
        """Yield the ids of a message that are to be replaced, as shown."""
        document = _document(data)
        if not self._counts(document):
            return
        payload = self._opened(walk(document, self.payload))
        for path in self.ids:
            shown = walk(payload, path)
            if not self._stays(shown):
                yield shown

    def _stays(self, shown: Json) -> bool:
        """Whether a value stands in ``users.exclude`` itself: it names nobody then."""
        return isinstance(shown, str) and shown in self._literal

    def _counts(self, document: Json) -> bool:
        if not isinstance(document, dict):
            return False
        return self.kind is None or walk(document, self.kind) in self._source.events.types

    def _reduced(self, data: bytes, names: Anonymous) -> bytes:
        document = _document(data)
        if document is None:
            return _NO_JSON
        if not isinstance(document, dict):
            return msgspec.json.encode(type(document)())
        made: dict[str, Any] = {}
        if self.kind is not None and not self._counts(document):
            put(made, self.kind, _OTHER_TYPE)
            return msgspec.json.encode(made)
        inside = self._payload(walk(document, self.payload), names)
        if not self.payload:
            made = inside if isinstance(inside, dict) else made
        else:
            put(made, self.payload, inside)
        if self.kind is not None:
            put(made, self.kind, walk(document, self.kind))
        put(made, self.time, names.time(walk(document, self.time)))
        return msgspec.json.encode(made)

    def _payload(self, shown: Json, names: Anonymous) -> Json:
        """Return a payload with what is read of it, in the encoding in which it was."""
        encoding = self._source.events.payload_encoding if self.payload else "JSON"
        if encoding == "JSON":
            return self._bare(shown, names)
        if not isinstance(shown, str):
            return None if shown is None else type(shown)()
        opened = self._opened(shown)
        if encoding == "JSONText":
            return (_NO_JSON if opened is None else self._encoded(opened, names)).decode()
        if opened is None:
            return _NO_BASE64
        return base64.b64encode(self._encoded(opened, names)).decode()

    def _encoded(self, payload: Json, names: Anonymous) -> bytes:
        return msgspec.json.encode(self._bare(payload, names))

    def _bare(self, payload: Json, names: Anonymous) -> Json:
        if not isinstance(payload, dict):
            return payload if payload is None else type(payload)()
        made: dict[str, Any] = {}
        for path in self.conditions:
            put(made, path, names.condition(walk(payload, path)))
        for path in self.ids:
            shown = walk(payload, path)
            put(made, path, shown if self._stays(shown) else names.id(shown))
        return made

    def _opened(self, payload: Json) -> Json:
        """Return what a payload holds; None where that cannot be read."""
        encoding = self._source.events.payload_encoding if self.payload else "JSON"
        if encoding == "JSON":
            return payload
        if not isinstance(payload, str):
            return None
        try:
            data = base64.b64decode(payload, validate=True) if encoding == "Base64JSON" else payload
        except ValueError:
            return None
        return _document(data if isinstance(data, bytes) else data.encode("utf-8", "replace"))


def _document(data: bytes) -> Json:
    """Return a decoded document; None where it is none."""
    try:
        return decoded(msgspec.json.decode, data)
    except (*NO_JSON, RecursionError):
        return None
