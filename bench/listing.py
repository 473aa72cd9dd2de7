"""Directory listings, every tenth user active: as OpenCloud gives one, and by the convention.

Each has a second state, some minutes later: one user in a hundred has signed in since, and one
account in a thousand was deleted while another was made. Both are spread over the whole list.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from enum import StrEnum

PAGE_ROWS = 1000
ACTIVE_EVERY = 10
NEVER_EVERY = 3
SIGNED_IN_EVERY = 100
REPLACED_EVERY = 1000
CYCLE_DAYS = 30


class Form(StrEnum):
    """A listing as a preset reads it.

    ``OPENCLOUD``: all users in one answer, about 400 bytes each. ``STANDARD``: pages of 1,000, id
    and time only.
    """

    OPENCLOUD = "OpenCloud"
    STANDARD = "Standard"

    @property
    def path(self) -> str:
        """Where the product serves it."""
        return "/graph/v1.0/users" if self is Form.OPENCLOUD else "/.well-known/active-users"

    @property
    def items(self) -> str:
        """Name of the list in an answer."""
        return "value" if self is Form.OPENCLOUD else "users"

    @property
    def paged(self) -> bool:
        """Whether it comes in pages."""
        return self is Form.STANDARD


def cycle_start(now: datetime) -> datetime:
    """Return midnight UTC, 29 days before today."""
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight - timedelta(days=CYCLE_DAYS - 1)


def active_users(count: int, *, later: bool = False) -> int:
    """Return how many of ``count`` users are active in the cycle, and in its later state."""
    since = len(range(7, count, SIGNED_IN_EVERY)) if later else 0
    return len(range(0, count, ACTIVE_EVERY)) + since


def user_id(number: int, *, later: bool = False) -> str:
    """Return an id in the form of a UUID; ids ascend with the number."""
    maker = "4d1d" if later and number % REPLACED_EVERY == 505 else "4d1c"
    return f"{number:08x}-{maker}-4f6b-9d3a-{number * 2_654_435_761 % 2**48:012x}"


def pages(
    form: Form, count: int, now: datetime, *, later: bool = False, every: int = ACTIVE_EVERY
) -> Iterator[bytes]:
    """Yield the rows of each page, rendered and joined by commas; ``every`` n-th user is active."""
    start = cycle_start(now)
    render = _opencloud if form is Form.OPENCLOUD else _standard
    for first in range(0, count, PAGE_ROWS):
        numbers = range(first, min(first + PAGE_ROWS, count))
        rows = (
            render(
                number, user_id(number, later=later), _seen(number, start, later=later, every=every)
            )
            for number in numbers
        )
        yield ",".join(rows).encode()


def _seen(number: int, start: datetime, *, later: bool, every: int) -> str | None:
    spread = timedelta(seconds=number * 7_919 % 86_400, days=number % 25)
    if later and number % SIGNED_IN_EVERY == 7:
        seen = start + timedelta(days=26) + spread / 25
    elif number % every == 0:
        seen = start + spread
    elif number % NEVER_EVERY:
        seen = start - timedelta(days=26) - spread
    else:
        return None
    return f"{seen:%Y-%m-%dT%H:%M:%SZ}"


def _opencloud(number: int, name: str, seen: str | None) -> str:
    activity = f',"signInActivity":{{"lastSuccessfulSignInDateTime":"{seen}"}}' if seen else ""
    return (
        f'{{"accountEnabled":true,"displayName":"Augusta Ada King {number}",'
        f'"givenName":"Augusta Ada","id":"{name}",'
        f'"identities":[{{"issuer":"https://cloud.example.org","issuerAssignedId":"{name}"}}],'
        f'"mail":"augusta.king.{number}@example.org",'
        f'"onPremisesSamAccountName":"augusta.king.{number}","preferredLanguage":"en",'
        f'"surname":"King {number}","userType":"Member"{activity}}}'
    )


def _standard(number: int, name: str, seen: str | None) -> str:
    shown = f'"{seen}"' if seen else "null"
    return f'{{"id":"{name}","lastActive":{shown}}}'
