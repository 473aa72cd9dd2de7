"""A source as it will be polled: preset and user's fields merged, checked, and free of Kubernetes.

Plain msgspec structs, so that a worker process can be handed one without pydantic. Everything here
is immutable and has an order; ``EffectiveSource.digest`` hashes exactly the bytes of the part that
decides who counts. A field that is added later needs a default, which is then left out of those
bytes: an upgrade of the operator must not look like a change of the rules.
"""

import hashlib
from typing import Literal

import msgspec

from licenseusage.metering.properties import Properties, Removal
from licenseusage.sources.definition.guarantees import Guarantees, IdReuse, Ids, InitialValue

SECOND_MS = 1000
DAY_MS = 86_400_000

Scheme = Literal["HTTP", "HTTPS", "NATS", "TLS"]

Pair = tuple[str, str]
"""A name and a value, in the order the user wrote them; names may repeat."""


class SecretKey(msgspec.Struct, frozen=True):
    """One key of a Secret of the object's own namespace."""

    name: str
    key: str


class Pods(msgspec.Struct, frozen=True, kw_only=True):
    """Which pods (or which Service) to ask and how to reach them.

    Attributes:
        selector: Label selector in the API server's text form; None where the source names none.
        service: Name of the Service to ask instead of pods.
        port: A number, or the name of a container port (of a port of the Service).
        scheme: ``HTTP`` or ``HTTPS``; for event logs ``NATS`` or ``TLS``.
        ca: Where the PEM of the certificate authority is; None = the system's.
        server_name: The name in the server's certificate, also sent as SNI and ``Host``.
    """

    selector: str | None
    port: int | str
    scheme: Scheme
    ca: SecretKey | None = None
    server_name: str | None = None
    service: str | None = None


class BasicAuth(msgspec.Struct, frozen=True, tag="basic"):
    """A user name and a password, from a Secret with ``username`` and ``password``."""

    secret_name: str


class HeaderAuth(msgspec.Struct, frozen=True, tag="header"):
    """A request header whose value is ``prefix`` and the value of a Secret's key."""

    header: str
    prefix: str
    secret: SecretKey


class OnePage(msgspec.Struct, frozen=True, omit_defaults=True, tag="None"):
    """The whole list comes in one answer.

    Attributes:
        total: JMESPath to the number of rows in the whole list; None = the answer tells none.
    """

    total: str | None = None


class Offset(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, tag="Offset"):
    """Pages by ``offset`` and ``limit``.

    Attributes:
        offset_param: Query parameter of the first row's position.
        limit_param: Query parameter of the page size.
        size: Rows asked for per page.
        total: JMESPath to the number of rows in the whole list; None = ends at an empty page.
        first: The position of the list's first row: 0, or 1 as in SCIM.
    """

    offset_param: str
    limit_param: str
    size: int
    total: str | None = None
    first: int = 0


class Cursor(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, tag="Cursor"):
    """The next page is named by the page just read.

    Attributes:
        params: Query parameter and the JMESPath, over the page just read, of its value. The listing
            ends when all of them are absent, null or empty.
        total: JMESPath to the number of rows in the whole list; None = the pages tell none.
    """

    params: tuple[Pair, ...]
    total: str | None = None


Pagination = OnePage | Offset | Cursor


class Http(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The request; ``path``, ``query`` values and ``body`` may hold ``{{cycle.…}}`` templates.

    Attributes:
        ignore_members: Members and headers of the answer that do not say that there is more, or
            how many users there are, although they are called so.
    """

    method: Literal["GET", "POST"]
    path: str
    query: tuple[Pair, ...]
    headers: tuple[Pair, ...]
    body: str | None
    items: str | None
    pagination: Pagination
    ignore_members: tuple[str, ...] = ()

    def names(self, template: str) -> bool:
        """Whether the request holds templates that begin so, such as ``cycle.end``.

        A request that names a cycle needs a listing of its own for each cycle.
        """
        parts = [self.path, self.body or "", *(value for _, value in self.query)]
        return any("{{" + template in part for part in parts)


class Jetstream(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A stream of NATS JetStream with one message for each event.

    Attributes:
        stream: Its name.
        type_path: JMESPath over a message that gives its type; None where all count.
        types: Types that count; empty: all.
        payload_path: JMESPath over a message that gives the payload; None = the message itself.
        payload_encoding: ``JSON``: a value of the message; ``Base64JSON``: a text.
    """

    stream: str
    type_path: str | None
    types: tuple[str, ...]
    payload_path: str | None
    payload_encoding: Literal["JSON", "Base64JSON"]


class Stamp(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Where an item's last activity (an event's time) is, and how it is written.

    Attributes:
        path: JMESPath over one item, or over one message.
        format: ``Auto``, ``EpochSeconds``, ``EpochMillis`` or a strptime pattern.
        naive_timezone: IANA name of the zone of stamps that carry no offset.
        granularity_ms: A stamp ``v`` stands for ``[v, v + granularity_ms)``.
        never: Texts (and numbers, as texts) that mean "never", beside those that always do.
    """

    path: str
    format: str
    naive_timezone: str
    granularity_ms: int
    never: tuple[str, ...] = ()


class CreatedAt(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Where an item's creation time is; a last activity within the tolerance of it is not one."""

    path: str
    tolerance_ms: int


class Users(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The meaning of the items."""

    id: str
    last_active: Stamp
    created_at: CreatedAt | None
    exclude: str | None
    exclude_ids: tuple[str, ...]
    normalize: tuple[Literal["Trim", "Lowercase", "NFC"], ...]


class EffectiveSource(msgspec.Struct, frozen=True, kw_only=True):
    """One source, complete and checked.

    Attributes:
        name: The source's name within its object.
        preset: Name of the preset it builds on, or None.
        definition: Who counts as active, in words; copied into signed reports.
        interval_ms: How often it is polled at most.
        listing: How it is read where it lists users; else None, and
        log: the log of their events.
        pods: Where it is asked; None where that is
        endpoint: a server that the operator's settings know by this name.
        identity: Identity domain; ids of sources with the same one are united.
        account: Path of an item's user name; decides nothing about who counts.
        when_nobody: What it means for this product if no listed user has a last activity.
        when_500: What is likely wrong with this product if it answers with HTTP 500.
    """

    name: str
    preset: str | None
    definition: str
    interval_ms: int
    pods: Pods | None
    auth: BasicAuth | HeaderAuth | None
    users: Users
    identity: str
    guarantees: Guarantees
    listing: Http | None = None
    log: Jetstream | None = None
    account: str | None = None
    when_nobody: str | None = None
    endpoint: str | None = None
    when_500: str | None = None

    @property
    def http(self) -> Http:
        """The request of a source that lists users; asked of no other."""
        assert self.listing is not None  # noqa: S101
        return self.listing

    @property
    def jetstream(self) -> Jetstream:
        """The stream of a source that is an event log; asked of no other."""
        assert self.log is not None  # noqa: S101
        return self.log

    @property
    def reads_log(self) -> bool:
        """Whether this is an event log (source kind D of MEASUREMENT)."""
        return self.log is not None

    @property
    def properties(self) -> Properties:
        """The declared properties, all times in ms (MEASUREMENT §1).

        ``ids_stable`` is what is declared. Where it is ``Unknown``, a poll decides by the ids it
        saw: ``PollResult.ids_stable``.
        """
        return self.properties_given(ids_stable=self.guarantees.ids is Ids.STABLE)

    def properties_given(self, *, ids_stable: bool) -> Properties:
        """The declared properties, with a poll's findings about its ids."""
        promised = self.guarantees
        created = self.users.created_at
        if self.reads_log:
            # What was read of a log stays true, and what it lost is found: nobody is "removed".
            # Ids that may change fail the poll, because every event is united with all others.
            return Properties(
                granularity_ms=self.users.last_active.granularity_ms,
                lag_ms=promised.lag_seconds * SECOND_MS,
                removal=Removal.NEVER,
                ids_stable=True,
                id_reuse=promised.id_reuse is IdReuse.POSSIBLE,
                log=True,
            )
        return Properties(
            granularity_ms=self.users.last_active.granularity_ms,
            lag_ms=promised.lag_seconds * SECOND_MS,
            hidden_ms=promised.hidden_seconds * SECOND_MS,
            removal=promised.removal,
            ids_stable=ids_stable,
            id_reuse=promised.id_reuse is IdReuse.POSSIBLE,
            initial_created=promised.initial_value is InitialValue.CREATION_TIME
            or created is not None,
            created_tolerance_ms=created.tolerance_ms if created is not None else 0,
        )

    @property
    def selection(self) -> str:
        """``sha256:…`` over what decides who counts, whatever the product promises about it.

        Where it changes within a cycle, what was counted before and after are two segments
        (MEASUREMENT §7). A corrected guarantee is none: those declared now are held against all
        facts.
        """
        http = self.listing
        read = self.log if http is None else [http.path, http.query, http.body, http.items]
        chosen = msgspec.json.encode([read, self.users, self.identity], order="sorted")
        return f"sha256:{hashlib.sha256(chosen).hexdigest()}"

    @property
    def listed_by(self) -> str:
        """``sha256:…`` over what decides who is listed, whether or not he counts."""
        http = self.listing
        read = [http.path, http.query, http.body, http.items] if http is not None else []
        chosen = msgspec.json.encode(
            [read, self.users.id, self.users.normalize, self.identity], order="sorted"
        )
        return f"sha256:{hashlib.sha256(chosen).hexdigest()}"

    @property
    def declaration(self) -> str:
        """``sha256:…`` over what is declared of the list or log: what can be refuted of it."""
        claims = msgspec.json.encode([self.listed_by, self.guarantees], order="sorted")
        return f"sha256:{hashlib.sha256(claims).hexdigest()}"

    def digest(self) -> bytes:
        """SHA-256 (32 bytes) of the part of the definition that decides who counts.

        Where pods are, how often they are asked and which Secret is used are left out: changing
        them changes no count. ``rules.digest`` of a report is made of these (REPORT_FORMAT §6).
        """
        rules = msgspec.json.encode(
            {
                "definition": self.definition,
                **({"http": self.listing} if self.log is None else {"jetstream": self.log}),
                "users": self.users,
                "identity": self.identity,
                "guarantees": self.guarantees,
            },
            order="sorted",
        )
        return hashlib.sha256(rules).digest()
