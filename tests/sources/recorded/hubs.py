"""JupyterHub, OpenCloud, and the convention of this project, as their sources write their lists."""

from collections.abc import Sequence
from typing import Any

from tests.sources.product import SECRET, Request
from tests.sources.recorded.desks import BASIC
from tests.sources.recorded.first import zulu
from tests.sources.recorded.forges import uuid_of
from tests.sources.recorded.shape import Page, Row, Shape, Someone, by_offset, header, number_of

# jupyterhub/apihandlers/base.py, jupyterhub/apihandlers/users.py


def _hub_row(one: Someone) -> Row:
    """What the scopes list:users and read:users:activity show."""
    return {
        "kind": "user",
        "name": f"u{one.number}",
        "last_activity": zulu(one.seen, digits=6),
    }


def _hub_body(page: Page) -> Any:
    """As it is with the Accept header of the preset."""
    more = page.ends < page.total
    return {
        "items": list(page.rows),
        "_pagination": {
            "offset": page.begins,
            "limit": 200,
            "total": page.total,
            "next": {"offset": page.ends, "limit": 200, "url": "http://h/hub/api/users"}
            if more
            else None,
        },
    }


JUPYTERHUB = Shape(
    preset="JupyterHub",
    path="/hub/api/users",
    row=_hub_row,
    id=lambda one: f"u{one.number}",
    lets_in=lambda asked: (
        asked.headers.get("authorization") == f"token {SECRET}"
        and asked.headers.get("accept") == "application/jupyterhub-pagination+json"
    ),
    body=_hub_body,
    span=by_offset("offset", "limit", usual=50, most=200),
    page_size=200,
    lists=lambda one, _: one.kind == "person",  # services are listed elsewhere
)

# services/graph/pkg/identity/ldap.go, services/graph/pkg/service/v0/users.go


def _opencloud_row(one: Someone) -> Row:
    seen = {"signInActivity": {"lastSuccessfulSignInDateTime": zulu(one.seen)}}
    return {
        "accountEnabled": not one.disabled,
        "displayName": f"User {one.number}",
        "id": uuid_of(one),
        "mail": f"u{one.number}@example.org",
        "onPremisesSamAccountName": f"u{one.number}",
        "surname": "U",
        "userType": "Member",
    } | (seen if one.seen is not None else {})


OPENCLOUD = Shape(
    preset="OpenCloud",
    path="/graph/v1.0/users",
    row=_opencloud_row,
    id=uuid_of,
    lets_in=header("Authorization", BASIC),
    body=lambda page: {"value": list(page.rows)},
    lists=lambda one, _: one.kind == "person",  # service accounts are in its configuration
)

# docs/sources.md


def _next_ids(asked: Request, rows: Sequence[Row]) -> tuple[int, int]:
    after = asked.param("after") or ""
    start = sum(row["id"] <= after for row in rows)
    return start, number_of(asked, "limit", 1000)


STANDARD = Shape(
    preset="Standard",
    path="/.well-known/active-users",
    row=lambda one: {"id": f"u{one.number:06}", "lastActive": zulu(one.seen)},
    id=lambda one: f"u{one.number:06}",
    lets_in=header("Authorization", f"Bearer {SECRET}"),
    body=lambda page: {
        "users": list(page.rows),
        "next": page.rows[-1]["id"] if page.rows and page.ends < page.total else None,
    },
    span=_next_ids,
    page_size=1000,
    lists=lambda one, _: one.kind == "person",
    sorts=lambda one: one.number,
)

SHAPES = (JUPYTERHUB, OPENCLOUD, STANDARD)
