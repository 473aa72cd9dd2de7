"""The intake's server and queue with a real ledger, without a cluster: tokens are names here."""

import asyncio
import json
import time
from contextlib import AsyncExitStack

import aiohttp
import pytest

from licenseusage.controller.effects.callers import Callers
from licenseusage.controller.effects.intake import AT_A_TIME
from licenseusage.controller.effects.kube import ForbiddenError, UnavailableError
from licenseusage.controller.process import connections, intakeserver
from licenseusage.controller.rules.pushes import Caller, Share
from licenseusage.errors import Retryable, Stalled, UsageError
from licenseusage.reasons import Reason
from tests.controller.intakedesk import Desk, pushed
from tests.controller.pushing import BATCH, activity, heartbeat


@pytest.fixture
async def stack():
    async with AsyncExitStack() as stack:
        yield stack


@pytest.fixture
async def desk(stack, tmp_path):
    desk = Desk(tmp_path)
    await desk.open(stack)
    return desk


@pytest.fixture
async def client(stack):
    return await stack.enter_async_context(aiohttp.ClientSession())


async def post(client, desk, body, *, token="shop/shop", receipt=None, media_type=BATCH, **headers):
    """Return status and body of the answer."""
    sent = {"Content-Type": media_type, "Authorization": f"Bearer {token}", **headers}
    sent |= {"LicenseUsage-Receipt": receipt} if receipt else {}
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    url = f"http://127.0.0.1:{desk.port}/v1/activity"
    async with client.post(url, data=raw, headers=sent) as answer:
        return answer.status, await answer.json(content_type=None), answer.headers


def now(seconds=0.0) -> float:
    return time.time() + seconds


async def test_a_request_is_answered_once_it_is_durable(desk, client):
    target = await desk.declare()
    status, body, _ = await post(client, desk, [activity("ada", now(-60)), heartbeat(now(-30))])
    assert (status, body["accepted"], body["outside"], body["excluded"]) == (200, 1, 0, 0)
    assert (await desk.counted(target)).lower == 1
    assert desk.nudged == [target.key]


async def test_a_producer_that_is_not_declared_is_told_so(desk, client):
    await desk.declare()
    event = activity("ada", now(-60), source="/other")
    _, body, _ = await post(client, desk, [event])
    assert "receipt" not in body
    assert "push.producers" in body["warning"]


async def test_without_declared_producers_there_is_no_receipt(desk, client):
    target = await desk.declare(pushed(producers=()))
    status, body, _ = await post(client, desk, [activity("ada", now(-60)), heartbeat(now(-30))])
    assert (status, set(body)) == (200, {"accepted", "outside", "excluded"})
    assert (await desk.counted(target)).lower == 1


async def test_an_event_of_no_cycle_is_taken_and_does_not_count(desk, client):
    target = await desk.declare()
    status, body, _ = await post(client, desk, [activity("ada", now(-86_400 * 200))])
    assert (status, body["accepted"], body["outside"]) == (200, 0, 1)
    assert (await desk.counted(target)).lower is None or (await desk.counted(target)).lower == 0


@pytest.mark.parametrize(
    ("event", "error"),
    [
        (lambda: activity("ada", now(3600)), "EventInFuture"),
        (lambda: heartbeat(now(3600)), "HeartbeatAhead"),
    ],
)
async def test_what_lies_in_the_future_is_refused_and_says_when_to_come_again(
    desk, client, event, error
):
    target = await desk.declare()
    status, body, headers = await post(client, desk, [activity("ben", now(-60)), event()])
    assert (status, body["error"]) == (422, error)
    assert 3500 < int(headers["Retry-After"]) <= 3600
    assert "5 s" in body["detail"]
    assert not (await desk.counted(target)).lower


async def test_a_clock_that_is_a_little_ahead_is_permitted(desk, client):
    await desk.declare()
    status, _, _ = await post(client, desk, [activity("ada", now(3)), heartbeat(now(3))])
    assert status == 200


async def test_a_heartbeat_that_goes_back_is_refused(desk, client):
    await desk.declare()
    _, body, _ = await post(client, desk, [heartbeat(now(-30))])
    status, body, _ = await post(client, desk, [heartbeat(now(-300))], receipt=body["receipt"])
    assert (status, body["error"]) == (409, "HeartbeatWentBack")


async def test_a_receipt_of_another_ledger_is_refused_and_says_what_to_do(desk, client):
    await desk.declare()
    events = [activity("ada", now(-60))]
    status, body, _ = await post(client, desk, events, receipt="0123456789abcdef")
    assert (status, body["error"]) == (409, "PushReceiptUnknown")
    assert "without" in body["fix"]
    assert (await post(client, desk, events))[0] == 200


HOSTILE = {
    "no body": ({"body": b""}, 400, "PushInvalid"),
    "not JSON": ({"body": b"<html>"}, 400, "PushInvalid"),
    "another type": ({"media_type": "text/html"}, 415, "UnsupportedMediaType"),
    "a form": ({"media_type": "multipart/form-data"}, 415, "UnsupportedMediaType"),
    "compressed": ({"Content-Encoding": "gzip"}, 415, "UnsupportedMediaType"),
    "a bomb": ({"body": b"[" * (1024 * 1024 + 1)}, 413, "PushTooLarge"),
    "too many events": ({"body": b"[" + b"{},".join([b""] * 2002) + b"{}]"}, 422, "EventInvalid"),
    "a receipt of a page": ({"receipt": "x" * 1000}, 400, "PushInvalid"),
    "no token": ({"Authorization": ""}, 401, "PushTokenMissing"),
    "another scheme": ({"Authorization": "Basic c2hvcA=="}, 401, "PushTokenMissing"),
    "a token of nobody": ({"token": "nobody"}, 401, "PushTokenRefused"),
    "another namespace": ({"token": "other/shop"}, 403, "NoPushSource"),
    "another account": ({"token": "shop/default"}, 403, "NoPushSource"),
}


@pytest.mark.parametrize(("request_", "status", "error"), HOSTILE.values(), ids=HOSTILE)
async def test_whatever_is_sent_is_refused_with_its_reason_and_a_fix(
    desk, client, request_, status, error
):
    target = await desk.declare()
    body = request_.pop("body", [activity("ada", now(-60))]) if "body" in request_ else []
    headers = {name: value for name, value in request_.items() if name != "body"}
    seen = await post(client, desk, body, **headers)
    assert (seen[0], seen[1]["error"]) == (status, error)
    assert seen[1]["status"] == status
    assert seen[1]["fix"]
    assert seen[2]["Content-Type"].startswith("application/problem+json")
    assert not (await desk.counted(target)).lower


async def test_other_paths_and_methods_are_problems_too(desk, client):
    url = f"http://127.0.0.1:{desk.port}"
    async with client.get(f"{url}/v1/activity") as answer:
        assert (answer.status, (await answer.json(content_type=None))["error"]) == (
            405,
            "MethodNotAllowed",
        )
    async with client.get(f"{url}/healthz") as answer:
        assert answer.status == 404
    async with client.get(f"{url}/v1/problems/EventInvalid") as answer:
        assert "docs/push.md" in await answer.text()


async def test_a_body_that_does_not_come_is_not_waited_for(desk, client, monkeypatch):
    monkeypatch.setattr(intakeserver, "_BODY_SECONDS", 0.1)
    await desk.declare()
    reader, writer = await asyncio.open_connection("127.0.0.1", desk.port)
    head = f"POST /v1/activity HTTP/1.1\r\nHost: x\r\nContent-Type: {BATCH}\r\n"
    writer.write(f"{head}Authorization: Bearer shop/shop\r\nContent-Length: 9\r\n\r\n".encode())
    assert b" 408 " in await reader.readline()
    writer.close()


async def test_half_a_batch_that_is_sent_again_counts_each_person_once_and_loses_nobody(
    desk, client
):
    """A batch that is cut on the way counts for nothing; a part of it, sent twice, counts once."""
    target = await desk.declare()
    batch = [activity(name, now(-60)) for name in ("ada", "bob", "eve")]
    raw = json.dumps(batch).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", desk.port)
    head = f"POST /v1/activity HTTP/1.1\r\nHost: x\r\nContent-Type: {BATCH}\r\n"
    head += f"Authorization: Bearer shop/shop\r\nContent-Length: {len(raw)}\r\n\r\n"
    writer.write(head.encode() + raw[: len(raw) // 2])
    await writer.drain()
    writer.close()
    assert await reader.read() == b""
    assert (await desk.counted(target)).lower == 0
    status, first, _ = await post(client, desk, batch[:2])
    assert status == 200
    for _ in range(2):  # its answer was lost
        status, again, _ = await post(client, desk, batch[:2], receipt=first["receipt"])
        assert status == 200
    assert (await desk.counted(target)).lower == 2
    status, _, _ = await post(client, desk, batch, receipt=again["receipt"])
    assert (status, (await desk.counted(target)).lower) == (200, 3)


async def test_an_address_holds_so_many_connections_and_no_more(desk, monkeypatch):
    monkeypatch.setattr(connections, "MOST_OF_ONE_ADDRESS", 3)
    opened = [await asyncio.open_connection("127.0.0.1", desk.port) for _ in range(4)]
    async with asyncio.timeout(10):
        assert await opened[3][0].read() == b""
    for _, writer in opened:
        writer.close()


async def test_a_quiet_connection_is_ended(desk, monkeypatch):
    monkeypatch.setattr(connections, "QUIET_SECONDS", 0.1)
    reader, writer = await asyncio.open_connection("127.0.0.1", desk.port)
    async with asyncio.timeout(10):
        assert await reader.read() == b""
    writer.close()


async def test_one_namespace_that_sends_too_much_keeps_no_other_waiting(stack, tmp_path, client):
    desk = Desk(tmp_path, rate=1)
    await desk.open(stack)
    await desk.declare()
    quiet = await desk.declare(namespace="quiet", name="quiet")
    flood = [activity(f"user-{n}", now(-60)) for n in range(50)]
    assert (await post(client, desk, flood))[0] == 200
    status, body, headers = await post(client, desk, flood)
    assert (status, body["error"]) == (429, "PushTooFast")
    assert 30 <= int(headers["Retry-After"]) <= 60
    events = [activity("ada", now(-60))]
    assert (await post(client, desk, events, token="quiet/shop"))[0] == 200
    assert (await desk.counted(quiet)).lower == 1


async def test_requests_at_a_time_are_bounded_for_each_namespace(desk):
    await desk.declare()
    caller = Caller("shop", "shop")
    async with AsyncExitStack() as open_requests:
        for _ in range(AT_A_TIME):
            open_requests.enter_context(desk.intake.admitted(caller))
        with pytest.raises(Retryable, match="not answered yet"), desk.intake.admitted(caller):
            pass
    with desk.intake.admitted(caller):
        pass


async def test_many_requests_share_a_transaction(desk, client):
    target = await desk.declare(pushed(tuple(f"/shop/{n}" for n in range(20))))
    pushes = [
        post(client, desk, [activity(f"user-{n}", now(-60), source=f"/shop/{n}")])
        for n in range(16)
    ]
    assert {status for status, _, _ in await asyncio.gather(*pushes)} == {200}
    assert (await desk.counted(target)).lower == 16


async def test_a_ledger_that_cannot_be_written_is_told_and_the_events_are_kept(
    desk, client, monkeypatch
):
    await desk.declare()

    async def fails(work):
        raise Retryable(Reason.LEDGER_DISK_FULL, "The disk is full.")

    events = [activity("ada", now(-60))]
    with monkeypatch.context() as patch:
        patch.setattr(desk.books, "do", fails)
        status, body, headers = await post(client, desk, events)
    assert (status, body["error"]) == (503, "LedgerDiskFull")
    assert int(headers["Retry-After"]) > 0
    assert (await post(client, desk, events))[0] == 200


async def test_no_id_is_in_an_answer_a_metric_or_the_log(desk, client, capfd, caplog):
    await desk.declare(pushed(users={"excludeIds": ["secret-bot"]}))
    for body in (
        [activity("secret-person", now(-60))],
        [activity("secret-bot", now(-60))],
        [activity("secret-person", now(3600))],
        [activity("secret-person", now(-60)) | {"time": "secret-time"}],
        [activity("secret-person", now(-60)) | {"source": "secret source"}],
        [activity("secret-person", now(-60), source="/secret")],
    ):
        _, seen, _ = await post(client, desk, body)
        assert "secret" not in json.dumps(seen)
    assert b"secret" not in desk.metrics.text()
    problem = desk.intake.problem(*next(iter(desk.intake._targets)))
    assert problem is None or "secret" not in problem.message
    shown = capfd.readouterr()
    assert "secret" not in shown.out + shown.err + caplog.text


# --- shares, and whose token it is ---


def test_a_share_fills_at_its_rate_and_no_higher_than_its_burst():
    share = Share(rate=10, most=100, left=100, at_s=0)
    share.take(150)
    assert share.wait_s(0) == pytest.approx(5.1)
    assert share.wait_s(5.2) == 0
    assert share.wait_s(1000) == 0
    assert share.left == 100


class Reviews:
    """An API server that answers with a status, or fails."""

    def __init__(self, answer):
        self.answer, self.asked = answer, 0

    async def create(self, resource, namespace, body):
        self.asked += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return {"status": self.answer}


GOOD = {
    "authenticated": True,
    "audiences": ["licenseusage.dev"],
    "user": {"username": "system:serviceaccount:shop:web"},
}
# {"aud": ["licenseusage.dev"]}
TOKEN = "e30.eyJhdWQiOlsibGljZW5zZXVzYWdlLmRldiJdfQ.sig"


async def test_a_token_is_asked_about_once_a_minute():
    reviews = Reviews(GOOD)
    callers = Callers(reviews, "licenseusage.dev")
    for _ in range(3):
        assert await callers.caller(TOKEN, "10.0.0.1") == Caller("shop", "web")
    assert reviews.asked == 1


@pytest.mark.parametrize(
    "answer",
    [
        GOOD | {"authenticated": False},
        GOOD | {"audiences": ["https://kubernetes.default.svc"]},
        {name: value for name, value in GOOD.items() if name != "audiences"},
        GOOD | {"user": {"username": "alice"}},
        GOOD | {"user": {"username": "system:serviceaccount:shop"}},
        GOOD | {"user": None},
        None,
    ],
)
async def test_a_review_that_does_not_say_all_of_it_is_a_refusal(answer):
    with pytest.raises(Stalled, match="not a valid service account token"):
        await Callers(Reviews(answer), "licenseusage.dev").caller(TOKEN, "10.0.0.1")


@pytest.mark.parametrize("token", ["x", "a.b.c", "e30.e30.sig", "é.é.é", "e30." + "A" * 20_000])
async def test_a_token_that_is_not_for_the_intake_is_not_asked_about(token):
    reviews = Reviews(GOOD)
    with pytest.raises(UsageError):
        await Callers(reviews, "licenseusage.dev").caller(token, "10.0.0.1")
    assert reviews.asked == 0


async def test_who_guesses_tokens_has_to_wait_and_nobody_else():
    callers = Callers(Reviews(GOOD), "licenseusage.dev")
    for number in range(20):
        with pytest.raises(Stalled):
            await callers.caller(f"guess-{number}", "10.0.0.66")
    with pytest.raises(Retryable) as caught:
        await callers.caller("guess", "10.0.0.66")
    assert caught.value.reason is Reason.PUSH_TOO_FAST
    assert await callers.caller(TOKEN, "10.0.0.1") == Caller("shop", "web")


@pytest.mark.parametrize(
    ("error", "kind"),
    [(ForbiddenError(403, "create", "no"), Stalled), (UnavailableError(0, "c", "x"), Retryable)],
)
async def test_an_api_server_that_does_not_say_it_is_a_reason_of_its_own(error, kind):
    callers = Callers(Reviews(error), "licenseusage.dev")
    with pytest.raises(kind) as caught:
        await callers.caller(TOKEN, "10.0.0.1")
    assert caught.value.reason is Reason.INTAKE_UNAVAILABLE
    assert TOKEN not in str(caught.value)
    assert callers.problem is not None
