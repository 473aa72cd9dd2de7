"""A source as it will be polled: preset and user's fields merged, checked, and free of Kubernetes.

Plain msgspec structs, so that a worker process can be handed one without pydantic. Everything here
is immutable and has an order; ``EffectiveSource.digest`` hashes exactly the bytes of the part that
decides who counts. A field that is added later needs a default, which is then left out of those
bytes: an upgrade of the operator must not look like a change of the rules.
"""

import hashlib
from dataclasses import asdict
from typing import Literal

import msgspec

from licenseusage.metering.counts import CountProperties, CountTerms
from licenseusage.metering.cycles import Cycle
from licenseusage.metering.properties import Properties, Removal
from licenseusage.sources.definition.auth import Auth
from licenseusage.sources.definition.guarantees import (
    Completeness,
    Guarantees,
    IdReuse,
    Ids,
    InitialValue,
)
from licenseusage.sources.definition.logs import EventLog, HttpLog, Jetstream, RedisStream
from licenseusage.sources.definition.numbers import Number, Window
from licenseusage.sources.definition.paging import Numbered, Pagination, Pair
from licenseusage.sources.definition.place import Pods
from licenseusage.sources.definition.push import Push

SECOND_MS = 1000
DAY_MS = 86_400_000


class Http(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The request; ``path``, ``query`` values and ``body`` may hold ``{{cycle.…}}`` templates.

    Attributes:
        ignore_members: Members and headers of the answer that do not say that there is more, or
            how many users there are, although they are called so.
        format: ``JSON``: one document; ``NDJSON``: one for each user, in lines.
        validator: ``ETag``: the product may say that its list has not changed, instead of sending
            it again.
    """

    method: Literal["GET", "POST"]
    path: str
    query: tuple[Pair, ...]
    headers: tuple[Pair, ...]
    body: str | None
    items: str | None
    pagination: Pagination
    ignore_members: tuple[str, ...] = ()
    format: Literal["JSON", "NDJSON"] = "JSON"
    validator: Literal["None", "ETag"] = "None"

    @property
    def chooses(self) -> tuple[object, ...]:
        """What decides who is listed."""
        chosen = (self.path, self.query, self.body, self.items)
        match self.pagination:
            case Numbered(template=template) if template != "{page}":
                return (*chosen, template)
        return chosen

    def names(self, template: str) -> bool:
        """Whether the request holds templates that begin so, such as ``cycle.end``.

        A request that names a cycle needs a listing of its own for each cycle.
        """
        return any("{{" + template in part for part in self.texts)

    @property
    def texts(self) -> tuple[str, ...]:
        """Where templates may stand."""
        return (self.path, self.body or "", *(value for _, value in self.query))


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


UNTIMED = Stamp(path="", format="Auto", naive_timezone="UTC", granularity_ms=1)
"""The last activity of items that have no times: nothing is read by it."""


class Users(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The meaning of the items."""

    id: str
    last_active: Stamp
    created_at: CreatedAt | None
    exclude: str | None
    exclude_ids: tuple[str, ...]
    normalize: tuple[Literal["Trim", "Lowercase", "NFC"], ...]

    @property
    def timed(self) -> bool:
        """Whether each item says when its user was active."""
        return self.last_active != UNTIMED


class EffectiveSource(msgspec.Struct, frozen=True, kw_only=True):
    """One source, complete and checked.

    Attributes:
        name: The source's name within its object.
        preset: Name of the preset it builds on, or None.
        definition: Who counts as active, in words; copied into signed reports.
        interval_ms: How often it is polled at most.
        listing: The request, where it is read over HTTP; else None, and
        log: the stream of NATS JetStream that holds their events, or
        redis: the Redis stream that does, or
        pushed: who sends them, where the product is not asked.
        http_log: How the answers are read where they are events; else None.
        people: What the items mean; None where there are none, only
        number: a number of users.
        pods: Where it is asked; None where that is
        endpoint: a server that the operator's settings know by this name.
        identity: Identity domain; ids of sources with the same one are united.
        account: Path of an item's user name; decides nothing about who counts.
        when_nobody: What it means for this product if no listed user has a last activity.
        every_pod: Each ready pod is asked for its list, and they must agree; else one is asked.
        client_certificate: Secret with ``tls.crt`` and ``tls.key``; None: none is presented.
        when_500: What is likely wrong with this product if it answers with HTTP 500.
        when_off: What to do where this product does not record the events that count.
        window: Which activity the product looks at, where the items have no times; else None.
    """

    name: str
    preset: str | None
    definition: str
    interval_ms: int
    pods: Pods | None
    auth: Auth | None
    identity: str
    guarantees: Guarantees
    people: Users | None = None
    number: Number | None = None
    listing: Http | None = None
    log: Jetstream | None = None
    http_log: HttpLog | None = None
    redis: RedisStream | None = None
    pushed: Push | None = None
    account: str | None = None
    when_nobody: str | None = None
    endpoint: str | None = None
    when_500: str | None = None
    when_off: str | None = None
    client_certificate: str | None = None
    every_pod: bool = False
    window: Window | None = None

    @property
    def users(self) -> Users:
        """The meaning of the items of a list or log; asked of no other."""
        assert self.people is not None  # noqa: S101
        return self.people

    @property
    def count(self) -> Number:
        """The meaning of a source that states a number; asked of no other."""
        assert self.number is not None  # noqa: S101
        return self.number

    @property
    def states_number(self) -> bool:
        """Whether this names nobody (source kind C of MEASUREMENT)."""
        return self.number is not None

    @property
    def http(self) -> Http:
        """The request of a source that is read over HTTP; asked of no other."""
        assert self.listing is not None  # noqa: S101
        return self.listing

    @property
    def jetstream(self) -> Jetstream:
        """The stream of a source that is an event log; asked of no other."""
        assert self.log is not None  # noqa: S101
        return self.log

    @property
    def redis_stream(self) -> RedisStream:
        """The stream of a source that is a Redis stream; asked of no other."""
        assert self.redis is not None  # noqa: S101
        return self.redis

    @property
    def event_log(self) -> EventLog | None:
        """The log of events; None: this source lists users."""
        return self.log if self.log is not None else self.redis

    @property
    def events(self) -> EventLog:
        """What a message of an event log means; asked of no other source."""
        assert self.event_log is not None  # noqa: S101
        return self.event_log

    @property
    def read_by(self) -> str:
        """The field that says how the source is read."""
        if self.redis is not None:
            return "redis"
        return "http" if self.log is None else "jetstream"

    @property
    def push(self) -> Push:
        """Who sends the events of a source that is pushed; asked of no other."""
        assert self.pushed is not None  # noqa: S101
        return self.pushed

    @property
    def reads_log(self) -> bool:
        """Whether this is an event log (source kind D of MEASUREMENT)."""
        return self.event_log is not None or self.http_log is not None

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
        if self.states_number:
            late_s = promised.lag_seconds + promised.age_seconds
            return Properties(lag_ms=late_s * SECOND_MS, removal=promised.removal, ids_stable=True)
        created = self.users.created_at
        if self.pushed is not None:
            # A heartbeat says up to when everything was sent: nothing is waited for beyond it.
            return Properties(
                granularity_ms=self.users.last_active.granularity_ms,
                lag_ms=0,
                removal=Removal.NEVER,
                ids_stable=True,
                id_reuse=promised.id_reuse is IdReuse.POSSIBLE,
                log=True,
                pushed=True,
            )
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
            window=None if self.window is None else self.window.rule(),
            age_ms=promised.age_seconds * SECOND_MS,
        )

    @property
    def count_terms(self) -> CountTerms | None:
        """What is declared of a number, for all its samples; None: this states none."""
        promised, number = self.guarantees, self.number
        if number is None:
            return None
        stays = promised.removal is Removal.NEVER
        return CountTerms(
            lag_ms=promised.lag_seconds * SECOND_MS,
            kept_ms=None if stays else 0,
            relisted=not stays,
            self_counted=number.own_accounts,
            whole=promised.completeness is Completeness.COMPLETE,
        )

    def count_properties(self, cycle: Cycle) -> CountProperties:
        """The declared properties of a number that is asked for a cycle, all times in ms."""
        terms, promised, number = self.count_terms, self.guarantees, self.count
        assert terms is not None  # noqa: S101
        return CountProperties(
            **asdict(terms),
            window=number.window.rule(cycle),
            age_ms=promised.age_seconds * SECOND_MS,
            hidden_ms=promised.hidden_seconds * SECOND_MS,
            saturates_at=number.saturates_at,
            estimated=number.precision == "Estimated",
        )

    @property
    def selection(self) -> str:
        """``sha256:…`` over what decides who counts, whatever the product promises about it.

        Where it changes within a cycle, what was counted before and after are two segments
        (MEASUREMENT §7). A corrected guarantee is none: those declared now are held against all
        facts.
        """
        http = self.listing
        read = self.event_log if http is None else http.chooses
        means = self.people if self.number is None else self.number.chooses
        window = () if self.window is None else (self.window,)
        chosen = msgspec.json.encode([read, means, self.identity, *window], order="sorted")
        return f"sha256:{hashlib.sha256(chosen).hexdigest()}"

    @property
    def listed_by(self) -> str:
        """``sha256:…`` over what decides who is listed, whether or not he counts."""
        if self.states_number:
            return self.selection
        http = self.listing
        read = http.chooses if http is not None else ()
        chosen = msgspec.json.encode(
            [read, self.users.id, self.users.normalize, self.identity], order="sorted"
        )
        return f"sha256:{hashlib.sha256(chosen).hexdigest()}"

    @property
    def declaration(self) -> str:
        """``sha256:…`` over what is declared of the list or log: what can be refuted of it."""
        claimed: list[object] = [self.listed_by, self.guarantees]
        claimed += [] if self.window is None else [self.window]
        claimed += [] if self.pushed is None else [self.pushed.producers]
        claims = msgspec.json.encode(claimed, order="sorted")
        return f"sha256:{hashlib.sha256(claims).hexdigest()}"

    def digest(self) -> bytes:
        """SHA-256 (32 bytes) of the part of the definition that decides who counts.

        Where pods are, how often they are asked and which Secret is used are left out: changing
        them changes no count. ``rules.digest`` of a report is made of these (REPORT_FORMAT §6).
        """
        read = {self.read_by: self.listing if self.event_log is None else self.event_log}
        rules = msgspec.json.encode(
            {
                "definition": self.definition,
                **({"push": self.pushed.producers} if self.pushed is not None else read),
                **({} if self.http_log is None else {"events": self.http_log}),
                **({"users": self.people} if self.number is None else {"count": self.number}),
                "identity": self.identity,
                "guarantees": self.guarantees,
                **({} if self.window is None else {"window": self.window}),
            },
            order="sorted",
        )
        return hashlib.sha256(rules).digest()
