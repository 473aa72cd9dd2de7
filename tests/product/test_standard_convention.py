"""The sample product keeps the convention of the preset ``Standard``, to the letter."""

from email.utils import parsedate_to_datetime
from typing import Protocol

import httpx
import pytest

from examples.product.store import Store, User

PATH = "/.well-known/active-users"


class SettableClock(Protocol):
    seconds: int


async def every_page(client: httpx.AsyncClient, limit: int) -> list[list[str]]:
    pages: list[list[str]] = []
    after: str | None = None
    while True:
        query = {"limit": str(limit)} | ({} if after is None else {"after": after})
        answer = (await client.get(PATH, params=query)).raise_for_status().json()
        pages.append([user["id"] for user in answer["users"]])
        after = answer["next"]
        if after is None:
            return pages


async def test_an_answer_has_users_and_next_and_nothing_else(client: httpx.AsyncClient) -> None:
    answer = await client.get(PATH, params={"limit": "2"})
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.json() == {
        "users": [
            {"id": "B", "lastActive": None},
            {"id": "a", "lastActive": "2027-01-15T07:43:20Z"},
        ],
        "next": "a",
    }


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5, 1000])
async def test_pages_list_every_id_once_ascending_by_code_point(
    client: httpx.AsyncClient, limit: int
) -> None:
    ids = [user for page in await every_page(client, limit) for user in page]
    assert ids == ["B", "a", "b", "é"]
    assert ids == sorted(ids, key=lambda user: [ord(character) for character in user])


async def test_code_points_beyond_the_basic_plane_come_last(
    client: httpx.AsyncClient, store: Store
) -> None:
    store.add([User("\U0001f600"), User("\uffee")])  # UTF-16 would order these the other way round
    assert [user for page in await every_page(client, 1) for user in page][-2:] == [
        "\uffee",
        "\U0001f600",
    ]


async def test_pages_start_strictly_after_the_id_even_if_it_is_gone(
    client: httpx.AsyncClient,
) -> None:
    answer = (await client.get(PATH, params={"after": "aa"})).json()
    assert [user["id"] for user in answer["users"]] == ["b", "é"]


async def test_a_full_last_page_ends_the_listing(client: httpx.AsyncClient) -> None:
    assert await every_page(client, 4) == [["B", "a", "b", "é"]]


async def test_an_empty_answer_ends_the_listing(client: httpx.AsyncClient) -> None:
    assert (await client.get(PATH, params={"after": "é"})).json() == {"users": [], "next": None}


async def test_a_page_never_holds_more_than_a_thousand(
    client: httpx.AsyncClient, store: Store
) -> None:
    store.add(User(f"u{number:04d}") for number in range(1500))
    for query in ({}, {"limit": "5000"}):
        assert len((await client.get(PATH, params=query)).json()["users"]) == 1000


@pytest.mark.parametrize("limit", ["0", "-1", "ten", "", "1.5", "٣", "9" * 12])
async def test_a_limit_that_is_no_count_is_refused(client: httpx.AsyncClient, limit: str) -> None:
    assert (await client.get(PATH, params={"limit": limit})).status_code == 400


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer wrong", "reader", "Basic reader"])
async def test_without_the_token_nobody_is_listed(client: httpx.AsyncClient, header: str) -> None:
    answer = await client.get(PATH, headers={"Authorization": header})
    assert (answer.status_code, answer.content) == (401, b"")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


async def test_the_list_cannot_be_written(client: httpx.AsyncClient) -> None:
    assert (await client.post(PATH)).status_code == 405


@pytest.mark.parametrize("path", [PATH, "/login", "/nowhere"])
async def test_every_answer_tells_the_clock_of_the_stamps(
    client: httpx.AsyncClient, clock: SettableClock, path: str
) -> None:
    answer = await client.get(path)
    assert parsedate_to_datetime(answer.headers["Date"]).timestamp() == clock.seconds


async def test_a_login_is_shown_at_once_with_the_stamp_it_was_answered(
    client: httpx.AsyncClient, clock: SettableClock
) -> None:
    clock.seconds = 1_799_999_999
    answer = await client.post("/login", json={"user": "B"})
    assert answer.json() == {"user": "B", "lastActive": "2027-01-15T07:59:59Z"}
    listed = (await client.get(PATH, params={"limit": "1"})).json()["users"]
    assert listed == [{"id": "B", "lastActive": "2027-01-15T07:59:59Z"}]


async def test_activity_never_goes_back_when_a_slow_replica_writes_last(
    client: httpx.AsyncClient, store: Store
) -> None:
    store.record_activity("a", 1_799_000_000)
    listed = (await client.get(PATH, params={"after": "B", "limit": "1"})).json()["users"]
    assert listed == [{"id": "a", "lastActive": "2027-01-15T07:43:20Z"}]


@pytest.mark.parametrize("user", ["b", "nobody", 7, None])
async def test_the_deactivated_and_the_unknown_cannot_sign_in(
    client: httpx.AsyncClient, user: object
) -> None:
    assert (await client.post("/login", json={"user": user})).status_code == 403


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"B"', b"{}"])
async def test_a_login_that_is_no_login_is_a_400(client: httpx.AsyncClient, body: bytes) -> None:
    assert (await client.post("/login", content=body)).status_code == 400
