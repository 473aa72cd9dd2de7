"""Input and result of one poll of one source: the interface of ``sources``.

A poll is a pure description here; ``worker.Workers.poll`` performs it in a process of its own. A
poll never raises for what a product does: the result carries a ``Failure`` with what was seen and
the fix, and the facts that hold in spite of it (rows of a failed poll name people, MEASUREMENT
§3.2).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from licenseusage.errors import Failure, Stalled
from licenseusage.metering.counts import Counts
from licenseusage.metering.cycles import Cycle, Segment
from licenseusage.metering.events import LogPosition, LogReading, LogState
from licenseusage.metering.facts import Facts
from licenseusage.reasons import Reason
from licenseusage.sources.definition.auth import Auth, BasicAuth, HeaderAuth, Login, OAuth2
from licenseusage.sources.definition.model import EffectiveSource
from licenseusage.sources.definition.place import Scheme
from licenseusage.sources.seen import Activities, Listed, Step

MIB = 1024 * 1024

Pseudonyms: TypeAlias = tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Target:
    """One ready pod (or one address in ``source check``).

    Attributes:
        host: IP address (or a name, in ``source check``).
        label: What messages call it, e.g. the pod's name.
        ca_pem: PEM of the certificate authority; None = the system's.
        server_name: Name in the certificate, also sent as SNI and ``Host``; None = ``host``.
        host_header: Sent as ``Host`` in place of these; None: it is not.
        ready_ms: Since when the pod is ready, ms since the epoch; None: it is not known.
    """

    host: str
    port: int
    scheme: Scheme = "HTTP"
    label: str = ""
    ca_pem: str | None = None
    server_name: str | None = None
    host_header: str | None = None
    ready_ms: int | None = field(default=None, compare=False)

    @property
    def host_sent(self) -> str:
        """The value of the ``Host`` header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return self.host_header or self.server_name or f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Certificate:
    """A client's certificate; never printed or logged.

    Attributes:
        chain_pem: The certificate, and those that lead to its authority.
        key_pem: Its private key, not encrypted.
    """

    chain_pem: str = field(repr=False)
    key_pem: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Credentials:
    """The values behind a source's ``auth``; never printed, logged or put on a command line.

    Attributes:
        username: For basic authentication and for a NATS server; of a login, if it has one.
        password: Likewise.
        header_value: For header authentication, with its prefix.
        values: For signing in: the values of the Secret's keys.
        certificate: Presented where a TLS connection is opened; None: none is.
    """

    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    header_value: str | None = field(default=None, repr=False)
    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    certificate: Certificate | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class PollLimits:
    """Bounds of one poll (MEASUREMENT §0); sizes in bytes, after decompression.

    Attributes:
        request_seconds: How long a product may send nothing in the middle of a request.
        poll_seconds: How long the whole poll may take, however steadily it sends.
        worker_bytes: Address space a worker may use (``RLIMIT_AS``); 0 = not limited.
        look_seconds: How long it is believed that a target is there; no connection is opened later
            without looking again.
    """

    request_seconds: float = 60
    poll_seconds: float = 300
    poll_bytes: int = 256 * MIB
    poll_pages: int = 10_000
    poll_users: int = 2_000_000
    worker_bytes: int = 1024 * MIB
    look_seconds: float = 5


@dataclass(frozen=True, slots=True)
class Looked:
    """The current targets and credentials of a source, for a poll that asks for them again.

    Attributes:
        issuers: Addresses of the server that issues tokens, where it is another one.
        failure: It could not be found out, or nothing may be asked; then there is nothing else.
        every_pod: As of ``PollRequest``.
    """

    targets: tuple[Target, ...] = ()
    credentials: Credentials | None = field(default=None, repr=False)
    failure: Failure | None = None
    issuers: tuple[Target, ...] = ()
    every_pod: bool = False


@dataclass(frozen=True, slots=True)
class CycleRequest:
    """A cycle for which facts are wanted.

    Attributes:
        already_closed: The store's ``closed`` word so far: windows that need no new maybe set.
        roster: Everybody listed is wanted: every id is hashed then, not only those of users active
            lately (MEASUREMENT §3.9).
        coming: The cycle has not begun; only its first roster is wanted.
        log: Event logs: how far it was read for this cycle; None: begin with the cycle.
        since_ms: Since when this source's definition decides who counts, where that changed within
            the cycle: the facts are about that segment (MEASUREMENT §7). None: the whole cycle.
    """

    cycle: Cycle
    already_closed: int = 0
    roster: bool = False
    coming: bool = False
    log: LogState | None = None
    since_ms: int | None = None

    @property
    def position(self) -> LogPosition | None:
        """Event logs: where the last reading for this cycle stopped."""
        return self.log.position if self.log is not None else None

    @property
    def part(self) -> Cycle | Segment:
        """The cycle or segment of the facts."""
        if self.since_ms is None or self.since_ms <= self.cycle.start_ms:
            return self.cycle
        return Segment(self.cycle, self.since_ms, self.cycle.end_ms)


@dataclass(frozen=True, slots=True)
class PollRequest:
    """One poll of one source.

    Attributes:
        targets: Ready pods in the order to try; the first that gives the whole list is the last.
        product: The vendor's product id, part of every pseudonym.
        pseudonym_key: 32 bytes held by the customer (random ones in ``source check``).
        cycles: One to three cycles (also one that has ended, near a boundary or for later evidence,
            and the coming one), oldest first; at least one has begun.
        closing: A closing poll is wanted: a listing that cannot prove itself complete in one pass
            is read again, at most three times (MEASUREMENT §0).
        subject: Whose source it is, so that a worker knows a list again.
        clock_offset_ms: Shift of the simulated clock, 0 in production.
        show_ids: Return raw ids (``source check --show-ids`` only, never in the operator).
        advise: Look closer, and say what may be wrong (``source check`` only).
        watch: Return who is listed (``source check --watch`` only); together with ``advise``.
        before: Start and end of the last poll of this source, ms since the epoch.
        issuers: Addresses of the server that issues tokens, where it is another one.
        every_pod: ``targets`` are all pods that the source selects. False: others are not ready, or
            may not be called; or it cannot be known, as behind a Service or an endpoint.
    """

    source: EffectiveSource
    targets: tuple[Target, ...]
    product: str
    pseudonym_key: bytes = field(repr=False)
    cycles: tuple[CycleRequest, ...]
    credentials: Credentials | None = field(default=None, repr=False)
    closing: bool = False
    limits: PollLimits = PollLimits()
    subject: str = ""
    clock_offset_ms: int = 0
    show_ids: bool = False
    advise: bool = False
    watch: bool = False
    before: tuple[int, int] | None = None
    issuers: tuple[Target, ...] = ()
    every_pod: bool = False


@dataclass(frozen=True, slots=True)
class PollResult:
    """The result of one poll.

    Attributes:
        started_ms: Just before the first request was sent (operator's clock, UTC).
        ended_ms: Just after the last answer was read.
        clock_skew_ms: k of MEASUREMENT §0: how far the clock of the stamps may be from ours.
        complete: Every page was read and MEASUREMENT §3.6 held: the poll proves something about
            users it did not name.
        incomplete: CamelCase reason why a poll without failure is not complete, and why for people.
        facts: By cycle index. Also after a failure, unless the failure says that no row can be
            trusted; then empty.
        readings: Event logs: by cycle index, what was read of the log. To be made durable together
            with ``facts``, or not at all.
        samples: Bare counts: by cycle index, the numbers that were read.
        ids_stable: Whether ids of different polls may be united (MEASUREMENT §3.8).
        users_listed: Items listed, before anything was skipped; overlap rows once. Event logs:
            events read, of those types that count.
        counted: Users sure in the newest cycle by this poll alone; of a bare count the number.
        skipped: Items not counted, by reason.
        provisioned: Different users listed and not excluded; None where the server filters, or the
            list did not end or says itself that there are more.
        saved_bytes: Content that was not sent again, because the list has not changed.
        hint: A thing worth saying although the poll succeeded, e.g. that nobody has a stamp; empty:
            there is none, although the poll is not complete.
        notes: Things worth saying (about exclusions, the collector's account, coarse times, a list
            that ends at a round number), each a sentence or two.
        moved: Pseudonyms, of the newest cycle, of users who were active while this poll ran or the
            one before; few, or none.
        ids: Raw ids counted in the newest cycle; only with ``show_ids``.
        activities: Of a list with times, where advice is wanted: what was seen of its users.
        listed: Who is on a list; only with ``watch``.
        steps: The first requests over HTTP that were answered; only with ``advise``.
        one_log: Event logs: True: every pod that the source selects answered, and all of them keep
            one log; False: two of them keep logs of their own; None: neither is known.
    """

    started_ms: int
    ended_ms: int
    clock_skew_ms: int = 0
    complete: bool = False
    incomplete: Failure | None = None
    facts: dict[int, Facts] = field(default_factory=dict)
    readings: dict[int, LogReading] = field(default_factory=dict)
    samples: dict[int, Counts] = field(default_factory=dict)
    ids_stable: bool = False
    pages: int = 0
    bytes: int = 0
    saved_bytes: int = 0
    seconds: float = 0.0
    users_listed: int = 0
    counted: int = 0
    skipped: dict[str, int] = field(default_factory=dict)
    provisioned: int | None = None
    hint: str | None = None
    notes: tuple[str, ...] = ()
    moved: Pseudonyms = field(default=(), repr=False)
    target: str = ""
    failure: Failure | None = None
    ids: tuple[str, ...] = field(default=(), repr=False)
    activities: Activities | None = None
    listed: Listed | None = None
    steps: tuple[Step, ...] = field(default=(), repr=False)
    one_log: bool | None = None


def credentials(
    auth: Auth | None, secret: Mapping[str, bytes] | None, where: str
) -> Credentials | None:
    """Pick a source's credentials out of its Secret.

    Args:
        auth: The source's ``auth``.
        secret: The Secret's data, decoded from base64; None where it does not exist.
        where: What messages call the Secret, e.g. ``Secret shop/meter``.

    Raises:
        Stalled: ``SecretNotFound``, ``SecretKeyMissing`` or ``SecretInvalid``.
    """
    if auth is None:
        return None
    if secret is None:
        raise Stalled(
            Reason.SECRET_NOT_FOUND, f"{where} does not exist. Create it, or correct the name."
        )
    values = {key: _value(secret, key, where) for key in keys_of(auth)}
    match auth:
        case BasicAuth():
            return Credentials(username=values["username"], password=values["password"])
        case HeaderAuth():
            return Credentials(header_value=auth.prefix + values[auth.secret.key].strip())
        case OAuth2():
            return Credentials(values=values)
        case Login():
            return Credentials(username=values.get("username"), values=values)


CERTIFICATE_KEYS = ("tls.crt", "tls.key")


def certificate(secret: Mapping[str, bytes], where: str) -> Certificate:
    """Pick a client's certificate out of a Secret.

    Raises:
        Stalled: ``SecretKeyMissing`` or ``SecretInvalid``: it is no PEM, or the key is encrypted.
    """
    texts = []
    for key, begin in zip(CERTIFICATE_KEYS, ("CERTIFICATE", "PRIVATE KEY"), strict=True):
        raw = secret.get(key)
        if raw is None:
            raise _missing(key, secret, where)
        text = raw.decode("utf-8", "replace")
        if "-----BEGIN " not in text or f"{begin}-----" not in text or "ENCRYPTED" in text:
            raise Stalled(
                Reason.SECRET_INVALID,
                f"{where}, key {key!r}: the value is no PEM that can be used. Store the "
                "certificate with its chain in tls.crt, and its key, not encrypted, in tls.key.",
            )
        texts.append(text)
    return Certificate(*texts)


def keys_of(auth: Auth) -> tuple[str, ...]:
    """Return the keys of a source's Secret whose values it needs."""
    match auth:
        case BasicAuth():
            return ("username", "password")
        case HeaderAuth():
            return (auth.secret.key,)
        case OAuth2():
            return ("client_id", "client_secret")
        case Login():
            keys = (field.secret_key for field in auth.fields)
            return tuple(dict.fromkeys(key for key in keys if key is not None))


def _value(secret: Mapping[str, bytes], key: str, where: str) -> str:
    """Return one value as text; a final line end is cut, as ``kubectl create secret`` keeps it."""
    raw = secret.get(key)
    if raw is None:
        raise _missing(key, secret, where)
    try:
        text = raw.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        text = "\0"
    if any(ord(letter) < 0x20 or ord(letter) == 0x7F for letter in text):
        raise Stalled(
            Reason.SECRET_INVALID,
            f"{where}, key {key!r}: the value is not one line of text. "
            "Store the bare token or password, without line breaks.",
        )
    return text


def _missing(key: str, secret: Mapping[str, bytes], where: str) -> Stalled:
    return Stalled(
        Reason.SECRET_KEY_MISSING,
        f"{where} has no key {key!r} (it has {len(secret)} others). Add it.",
    )
