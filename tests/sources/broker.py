"""A product that writes its events to NATS JetStream, in the shape that OpenCloud's have."""

import asyncio
import base64
import json
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from typing import Any

import nats
from nats.js import JetStreamContext
from nats.js.api import StreamConfig

from hack.nats import NatsServer
from licenseusage.api.source import Source
from licenseusage.clock import SystemClock
from licenseusage.metering.cycles import DAY_MS, Cycle
from licenseusage.metering.events import LogReading, LogState, united
from licenseusage.metering.facts import Facts
from licenseusage.metering.pseudonym import Pseudonymiser
from licenseusage.sources.definition.presets import effective
from licenseusage.sources.poll import CycleRequest, PollLimits, PollRequest, PollResult, Target
from licenseusage.sources.workers.kinds import collect

STREAM = "main-queue"
KEY = b"k" * 32
UPLOADS = ("events.BytesReceived", "events.UploadReady")


def person(name: str) -> str:
    """An id as the product gives them."""
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, name))


def message(
    name: str | None,
    at_ms: int,
    kind: str = "events.UserSignedIn",
    *,
    user_type: int | None = 1,
    idp: str = "https://idp.example.org",
    impersonated: int | None = None,
    **more: Any,
) -> bytes:
    """One message: an envelope with the payload as base64 of JSON; nanoseconds in the time.

    Args:
        name: Whom the event names; None: nobody.
        at_ms: When it was.
        kind: Its type. What tells of an upload names its user in a way of its own.
        user_type: Of whom it names: 1 member, 3 service account, 5 guest, 6 of another server, 7
            lightweight. None: it is left out, as the product does where it does not know it.
        idp: The identity provider of whom it names.
        impersonated: Type of who really acted, where that was in the name of another one.
        more: Other members of the payload.
    """
    whom: dict[str, Any] | None = None
    if name is not None:
        whom = {"idp": idp, "opaque_id": person(name)}
        # The session of an upload does not remember the type of its user.
        if user_type is not None and kind not in UPLOADS:
            whom["type"] = user_type
    payload: dict[str, Any] = {"Timestamp": {"seconds": at_ms // 1000, "nanos": 0}}
    if kind in UPLOADS:
        user = {"id": whom, "username": name, "mail": f"{name}@example.org"}
        payload["ExecutingUser"] = user if whom else None
    else:
        payload["Executant"] = whom
    visitor = {"id": {"idp": "public", "opaque_id": "guest", "type": impersonated}}
    payload |= {"ImpersonatingUser": visitor if impersonated else None, **more}
    stamp = datetime.fromtimestamp(at_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    envelope = {
        "ID": str(uuid.uuid4()),
        "Topic": STREAM,
        "Timestamp": f"{stamp}.{at_ms % 1000:03}456789Z",
        "Metadata": {"eventtype": kind, "eventid": "x", "initiatorid": ""},
        "Payload": base64.b64encode(json.dumps(payload).encode()).decode(),
    }
    return json.dumps(envelope).encode()


class Broker:
    """What the product and its administrator do to a server."""

    def __init__(self, server: NatsServer, **connect: Any) -> None:
        self.server, self._connect = server, connect

    def do(self, work: Callable[[JetStreamContext], Awaitable[Any]]) -> Any:
        async def within() -> Any:
            scheme = "tls" if "tls" in self._connect else "nats"
            client = await nats.connect(f"{scheme}://127.0.0.1:{self.server.port}", **self._connect)
            try:
                return await work(client.jetstream(timeout=20))
            finally:
                await client.close()

        return asyncio.run(within())

    def create(self, **config: Any) -> None:
        self.do(lambda js: js.add_stream(StreamConfig(name=STREAM, subjects=[STREAM], **config)))

    def publish(self, *messages: bytes, acknowledged: bool = True) -> None:
        self.do(lambda js: _publish(js, messages, acknowledged=acknowledged))

    def purge(self, *, keep: int = 0) -> None:
        self.do(lambda js: js.purge_stream(STREAM, keep=keep or None))

    def remove(self) -> None:
        self.do(lambda js: js.delete_stream(STREAM))

    def erase(self, *sequences: int) -> None:
        async def each(js: JetStreamContext) -> None:
            for sequence in sequences:
                await js.delete_msg(STREAM, sequence)

        self.do(each)

    def consumers(self) -> list[str]:
        """Names of what readers have left behind."""

        async def named(js: JetStreamContext) -> list[str]:
            return [one.name for one in await js.consumers_info(STREAM)]

        return self.do(named)


async def _publish(js: JetStreamContext, messages: Iterable[bytes], *, acknowledged: bool) -> None:
    messages = list(messages)
    for data in messages[:-1] if messages else ():
        if acknowledged:
            await js.publish(STREAM, data)
        else:
            await js._nc.publish(STREAM, data)
    if messages:
        await js.publish(STREAM, messages[-1])


def now_ms() -> int:
    return int(time.time() * 1000)


def today() -> Cycle:
    """A cycle of three days around now: yesterday, today, tomorrow."""
    start = now_ms() // DAY_MS * DAY_MS - DAY_MS
    return Cycle(0, start, start + 3 * DAY_MS)


def source(**changes: Any) -> Source:
    """The preset, with what only the user knows."""
    given: dict[str, Any] = {
        "name": "events",
        "preset": "OpenCloudEvents",
        "pods": {"selector": {"matchLabels": {"app": "x"}}, "port": 4222, "scheme": "NATS"},
    }
    return Source.model_validate(given | changes)


class Reader:
    """Polls as the operator does, and keeps between polls what the ledger keeps."""

    def __init__(self, server: NatsServer, cycle: Cycle | None = None, **more: Any) -> None:
        self.server, self.cycle = server, cycle or today()
        self.request: dict[str, Any] = {
            "source": effective(source()),
            "credentials": None,
            "limits": PollLimits(request_seconds=5, poll_seconds=30, worker_bytes=0),
        } | more
        self.target = Target("127.0.0.1", server.port, "NATS", "pod-0")
        self.last: LogReading | None = None
        self.ranges: tuple = ()
        self.holes: tuple = ()
        self.sure: dict[bytes, int] = {}

    def made(self, **changes: Any) -> PollRequest:
        one = CycleRequest(self.cycle, log=self.state)
        return PollRequest(
            **{
                "targets": (self.target,),
                "product": "opencloud",
                "pseudonym_key": KEY,
                "cycles": (one,),
            }
            | self.request
            | changes
        )

    @property
    def state(self) -> LogState | None:
        """What the ledger would tell."""
        return LogState(self.last.after, self.ranges, self.holes) if self.last else None

    def poll(self, **changes: Any) -> PollResult:
        return self.keep(collect(self.made(**changes), SystemClock()))

    def keep(self, result: PollResult) -> PollResult:
        for user, word in result.facts.get(self.cycle.index, Facts()).sure.items():
            self.sure[user] = self.sure.get(user, 0) | word
        reading = result.readings.get(self.cycle.index)
        if reading is not None:
            self.last = reading
            self.ranges = united([*self.ranges, *reading.ranges])
            self.holes = tuple(sorted({*self.holes, *reading.holes}))
        return result

    def counted(self) -> set[str]:
        """Who of the alphabet's people was counted."""
        named = Pseudonymiser(KEY, "opencloud", self.cycle.start_ms // 1000)
        people = [*"abcdefghijklmnopqrstuvwxyz"]
        known = {named(person(name)): name for name in people}
        return {known.get(user, "somebody else") for user in self.sure}


def ago(seconds: float) -> int:
    return now_ms() - round(seconds * 1000)
