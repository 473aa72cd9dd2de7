"""A directory listing as OpenCloud gives it: about 400 bytes a user, every tenth active."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

PAGE_ROWS = 1000
ACTIVE_EVERY = 10
NEVER_EVERY = 3
CYCLE_DAYS = 30


def cycle_start(now: datetime) -> datetime:
    """Return midnight UTC, 29 days before today."""
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight - timedelta(days=CYCLE_DAYS - 1)


def active_users(count: int) -> int:
    """Return how many of ``count`` users are active in the cycle: the truth."""
    return len(range(0, count, ACTIVE_EVERY))


def user_id(number: int) -> str:
    """Return an id in the form of a UUID; ids ascend with the number."""
    return f"{number:08x}-4d1c-4f6b-9d3a-{number * 2_654_435_761 % 2**48:012x}"


def pages(count: int, now: datetime) -> Iterator[bytes]:
    """Yield the rows of each page, rendered and joined by commas."""
    start = cycle_start(now)
    for first in range(0, count, PAGE_ROWS):
        numbers = range(first, min(first + PAGE_ROWS, count))
        yield b",".join(
            json.dumps(_user(number, start), separators=(",", ":")).encode() for number in numbers
        )


def _user(number: int, start: datetime) -> dict[str, object]:
    user: dict[str, object] = {
        "accountEnabled": True,
        "displayName": f"Augusta Ada King {number}",
        "givenName": "Augusta Ada",
        "id": user_id(number),
        "identities": [
            {"issuer": "https://cloud.example.org", "issuerAssignedId": user_id(number)}
        ],
        "mail": f"augusta.king.{number}@example.org",
        "onPremisesSamAccountName": f"augusta.king.{number}",
        "preferredLanguage": "en",
        "surname": f"King {number}",
        "userType": "Member",
    }
    spread = timedelta(seconds=number * 7_919 % 86_400, days=number % 25)
    if number % ACTIVE_EVERY == 0:
        seen = start + spread
    elif number % NEVER_EVERY:
        seen = start - timedelta(days=26) - spread
    else:
        return user
    stamp = seen.strftime("%Y-%m-%dT%H:%M:%SZ")
    return user | {"signInActivity": {"lastSuccessfulSignInDateTime": stamp}}
