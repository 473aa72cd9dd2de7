"""An event log as OpenCloud writes it: the messages, and a stream of them in a real nats-server."""

import asyncio
import base64
import json
import random
from collections.abc import Iterator
from datetime import datetime

from bench.listing import cycle_start, user_id

STREAM = "main-queue"
PEOPLE = 30_000
_SEED = 9
# Of a hundred messages: people who renew their tokens, files they touch, and what the server tells
# itself about each upload.
_KINDS = {
    "events.UserSignedIn": 50,
    "events.FileDownloaded": 15,
    "events.UploadReady": 5,
    "events.BytesReceived": 5,
    "events.StartPostprocessingStep": 10,
    "events.PostprocessingFinished": 5,
    "events.SendSSE": 10,
}
COUNTED = frozenset({"events.UserSignedIn", "events.FileDownloaded", "events.BytesReceived"})
_IDP = "https://cloud.example.org"


def messages(count: int, now: datetime) -> Iterator[tuple[str, str, bytes]]:
    """Yield type, user and content of each message; the newest is of just now."""
    chance = random.Random(_SEED)  # noqa: S311 - the same messages in every run
    kinds = chance.choices(list(_KINDS), weights=list(_KINDS.values()), k=count)
    start = cycle_start(now)
    step = (now - start) / count
    for number, kind in enumerate(kinds):
        user = user_id(chance.randrange(PEOPLE))
        yield kind, user, _message(number, kind, user, start + (number + 1) * step)


def active_people(count: int, now: datetime) -> int:
    """Return how many people the messages name: the truth."""
    return len({user for kind, user, _ in messages(count, now) if kind in COUNTED})


def _message(number: int, kind: str, user: str, at: datetime) -> bytes:
    who = {"idp": _IDP, "opaque_id": user, "type": 1}
    seconds = int(at.timestamp())
    payload: dict[str, object] = {"Timestamp": {"seconds": seconds}}
    if kind == "events.UserSignedIn":
        payload |= {"Executant": who}
    elif kind == "events.FileDownloaded":
        payload |= {"Executant": who, "Ref": _file(number), "ImpersonatingUser": None}
    else:
        executing = {"id": who, "username": f"user-{user[:8]}", "mail": f"{user[:8]}@example.org"}
        payload |= {
            "UploadID": user_id(number),
            "Filename": f"report-{number}.pdf",
            "ExecutingUser": executing,
            "FileRef": _file(number),
            "ImpersonatingUser": None,
        }
    encoded = base64.b64encode(json.dumps(payload, separators=(",", ":")).encode()).decode()
    envelope = {
        "ID": user_id(number),
        "Topic": STREAM,
        "Timestamp": f"{at:%Y-%m-%dT%H:%M:%S}.{number % 10**9:09}Z",
        "Metadata": {
            "eventid": user_id(number),
            "eventtype": kind,
            "initiatorid": "",
            "traceparent": f"00-{number:032x}-{number:016x}-01",
        },
        "Payload": encoded,
    }
    return json.dumps(envelope, separators=(",", ":")).encode()


def _file(number: int) -> dict[str, object]:
    space = user_id(number % 1000)
    resource = {"storage_id": user_id(0), "opaque_id": user_id(number), "space_id": space}
    return {"resource_id": resource, "path": f"./Documents/report-{number}.pdf"}


def fill(port: int, count: int, now: datetime) -> None:
    """Make the stream on a server of this machine and publish all messages."""
    asyncio.run(_fill(port, count, now))


async def _fill(port: int, count: int, now: datetime) -> None:
    import nats
    from nats.js.api import StreamConfig

    client = await nats.connect(f"nats://127.0.0.1:{port}")
    stream = client.jetstream(timeout=60)
    await stream.add_stream(StreamConfig(name=STREAM, subjects=[STREAM]))
    for number, (_, _, data) in enumerate(messages(count, now), start=1):
        if number % 1000 and number < count:
            await client.publish(STREAM, data)
        else:
            await stream.publish(STREAM, data)  # waits until all before it are stored
    await client.close()
