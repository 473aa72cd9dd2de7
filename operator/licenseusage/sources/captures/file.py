"""A capture as a file: its format, and how a changed one is found."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from licenseusage.errors import Stalled
from licenseusage.metering.cycles import Cycle
from licenseusage.reasons import Reason
from licenseusage.sources.captures import logform
from licenseusage.sources.captures.brokerlogs import RecordedLog
from licenseusage.sources.captures.wires import Answer
from licenseusage.sources.definition.model import EffectiveSource

FORMAT = "licenseusage.dev/capture/v1"
_NOW = "Record it anew with `licenseusage source check --record`."


class _Page(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    sent_ms: int
    received_ms: int
    headers: tuple[tuple[str, str], ...]
    body: str
    ends: bool


class _File(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel", omit_defaults=True
):
    capture: str
    digest: str
    start_ms: int
    end_ms: int
    closing: bool
    reads: dict[str, str]
    exclude_ids: tuple[str, ...]
    answers: tuple[_Page, ...]
    log: logform.Log | None = None


class _Any(msgspec.Struct, frozen=True):
    capture: str


@dataclass(frozen=True, slots=True)
class Capture:
    """Anonymised answers of a product, and what they were read for.

    Attributes:
        cycle: Which cycle was asked for.
        closing: The list was read as at the end of a cycle.
        reads: Digests of what the source reads, by the name of the field.
        exclude_ids: Replacements of ``users.excludeIds``.
        answers: In the order in which they were given; at least one, or there is
        log: what a broker told of its log, and its messages.
    """

    cycle: Cycle
    closing: bool
    reads: dict[str, str]
    exclude_ids: tuple[str, ...]
    answers: tuple[Answer, ...]
    log: RecordedLog | None = None

    def to_bytes(self) -> bytes:
        """Return the file: JSON, indented."""
        pages = tuple(
            _Page(each.sent_ms, each.received_ms, each.headers, each.body.decode(), each.ends)
            for each in self.answers
        )
        cycle = self.cycle
        made = _File(
            FORMAT,
            "",
            cycle.start_ms,
            cycle.end_ms,
            self.closing,
            self.reads,
            self.exclude_ids,
            pages,
            logform.written(self.log) if self.log is not None else None,
        )
        sealed = msgspec.structs.replace(made, digest=_digest(made))
        return msgspec.json.format(msgspec.json.encode(sealed), indent=2) + b"\n"

    @classmethod
    def of_bytes(cls, data: bytes, where: str) -> "Capture":
        """Read a file.

        Raises:
            Stalled: ``CaptureInvalid``: it was cut, or is no capture, or of another version, or was
                changed after it was written.
        """
        try:
            version = msgspec.json.decode(data, type=_Any).capture
        except msgspec.ValidationError:
            raise _invalid(f"{where} is JSON, but no capture") from None
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise _invalid(f"{where} is not JSON: it was cut off, or is no capture") from None
        if version != FORMAT:
            raise _invalid(f"{where} is of version {version[:80]!r}; this program reads {FORMAT}")
        try:
            file = msgspec.json.decode(data, type=_File)
        except msgspec.ValidationError as error:
            raise _invalid(f"{where} was changed after it was written ({error})") from None
        if file.digest != _digest(file) or (not file.answers and file.log is None):
            raise _invalid(f"{where} was changed after it was written (its digest differs)")
        answers = tuple(
            Answer(page.sent_ms, page.received_ms, page.headers, page.body.encode(), page.ends)
            for page in file.answers
        )
        cycle = Cycle(0, file.start_ms, file.end_ms)
        log = logform.read(file.log) if file.log is not None else None
        return cls(cycle, file.closing, file.reads, file.exclude_ids, answers, log)

    def must_fit(self, source: EffectiveSource) -> None:
        """Refuse a source that reads other members than those that were kept.

        Raises:
            Stalled: ``CaptureInvalid``, with the fields that differ.
        """
        other = [
            name for name, digest in reads_of(source).items() if self.reads.get(name) != digest
        ]
        if other:
            raise _invalid(
                f"source {source.name} reads other members than the capture holds: "
                f"{', '.join(other)} differ"
            )


def reads_of(source: EffectiveSource) -> dict[str, str]:
    """Return digests of what decides which members are kept, by the name of the field."""
    if source.number is not None:
        return _digests(
            {
                "http": source.http,
                "prometheus": source.number.gauge,
                "count.value": source.number.value,
            }
        )
    if source.event_log is not None:
        users = source.users
        return _digests(
            {
                source.read_by: source.event_log,
                "users.id": users.id,
                "users.time.path": users.last_active.path,
                "users.exclude": users.exclude,
                "the number of users.excludeIds": len(users.exclude_ids),
                "users.normalize": users.normalize,
            }
        )
    users = source.users
    made = users.created_at.path if users.created_at is not None else None
    fields: dict[str, object] = {
        "http": source.http,
        "users.id": users.id,
        "users.lastActive.path": users.last_active.path,
        "users.createdAt.path": made,
        "users.exclude": users.exclude,
        "the number of users.excludeIds": len(users.exclude_ids),
        "users.normalize": users.normalize,
        "window": source.window,
    }
    if (log := source.http_log) is not None:
        fields |= {"events.id": log.id, "events.settings": log.settings}
    return _digests(fields)


def _digests(fields: Mapping[str, object]) -> dict[str, str]:
    return {
        name: hashlib.sha256(msgspec.json.encode(value, order="sorted")).hexdigest()[:16]
        for name, value in fields.items()
    }


def _digest(file: _File) -> str:
    plain = msgspec.structs.replace(file, digest="")
    return "sha256:" + hashlib.sha256(msgspec.json.encode(plain, order="sorted")).hexdigest()


def _invalid(seen: str) -> Stalled:
    return Stalled(Reason.CAPTURE_INVALID, f"{seen}. {_NOW}")
