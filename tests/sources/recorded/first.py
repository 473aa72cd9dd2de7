"""Synapse, Superset, Unleash, Gitea and Label Studio, as their sources write their lists."""

import json
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from tests.sources.product import ADMIN, SECRET, Request, answer
from tests.sources.recorded.shape import (
    ANN,
    AT_THE_START,
    BOB,
    Page,
    Row,
    Shape,
    Someone,
    by_offset,
    by_page,
    header,
)


def millis(when: datetime | None) -> int | None:
    return None if when is None else int(when.timestamp() * 1000)


def zulu(when: datetime | None, *, digits: int = 0) -> str | None:
    if when is None:
        return None
    part = f".{when.microsecond:06}"[: digits + 1] if digits else ""
    return f"{when:%Y-%m-%dT%H:%M:%S}{part}Z"


# synapse/rest/admin/users.py, synapse/storage/databases/main/__init__.py


def _synapse_row(one: Someone) -> Row:
    return {
        "name": f"@u{one.number:04}:example.org",
        "user_type": "bot" if one.kind == "program" else None,
        "is_guest": False,
        "admin": False,
        "deactivated": one.disabled,
        "shadow_banned": False,
        "displayname": f"User {one.number}",
        "avatar_url": None,
        "creation_ts": millis(one.created),
        "approved": True,
        "erased": False,
        "last_seen_ts": millis(one.seen),
        "locked": False,
    }


def _synapse_body(page: Page) -> Any:
    more = {"next_token": str(page.ends)} if page.ends < page.total else {}
    return {"users": list(page.rows), "total": page.total} | more


SYNAPSE = Shape(
    preset="Synapse",
    path="/_synapse/admin/v2/users",
    row=_synapse_row,
    id=lambda one: f"@u{one.number:04}:example.org",
    lets_in=header("Authorization", f"Bearer {SECRET}"),
    body=_synapse_body,
    span=by_offset("from", "limit", usual=100),
    page_size=1000,
    lists=lambda one, asked: not one.disabled or asked.param("deactivated") == "true",
)

# flask_appbuilder/security/sqla/apis/user/api.py, superset/security/manager.py


def _superset_row(one: Someone) -> Row:
    return {
        "id": one.number,
        "username": f"u{one.number}",
        "first_name": "U",
        "last_name": str(one.number),
        "active": not one.disabled,
        "email": f"u{one.number}@example.org",
        "last_login": None if one.seen is None else one.seen.replace(tzinfo=None).isoformat(),
        "login_count": 0 if one.seen is None else 3,
        "fail_login_count": None,
        "created_on": one.created.replace(tzinfo=None).isoformat(),
        "changed_on": one.created.replace(tzinfo=None).isoformat(),
        "created_by": {},
        "changed_by": {},
        "roles": [{"id": 3, "name": "Alpha"}],
        "groups": [],
    }


def _rison(asked: Request, _: Sequence[Row]) -> tuple[int, int]:
    given = dict(re.findall(r"(\w+):(\w+)", asked.param("q") or ""))
    size = min(int(given.get("page_size", 20)), 100)
    return int(given.get("page", 0)) * size, size


def _superset_login(asked: Request) -> bytes:
    wanted = {"username": ADMIN, "password": SECRET, "provider": "db"}
    if asked.path != "/api/v1/security/login" or json.loads(asked.body) != wanted:
        return answer({"message": "Not authorized"}, "401 Unauthorized")
    return answer({"access_token": "jwt-of-15-minutes"})


SUPERSET = Shape(
    preset="Superset",
    path="/api/v1/security/users/",
    row=_superset_row,
    id=lambda one: str(one.number),
    lets_in=header("Authorization", "Bearer jwt-of-15-minutes"),
    sign_in=_superset_login,
    body=lambda page: {
        "count": page.total,
        "ids": [row["id"] for row in page.rows],
        "result": list(page.rows),
    },
    span=_rison,
    page_size=100,
    lists=lambda one, _: one.kind == "person",  # EXCLUDE_USERS_FROM_LISTS
)

# src/lib/features/users/user-store.ts, src/lib/routes/admin-api/user-admin.ts


def _unleash_row(one: Someone) -> Row:
    return {
        "id": one.number,
        "name": f"User {one.number}",
        "username": f"u{one.number}",
        "email": f"u{one.number}@example.org",
        "imageUrl": "https://example.org/u.png",
        "seenAt": zulu(one.seen, digits=3),
        "loginAttempts": 0,
        "createdAt": zulu(one.created, digits=3),
        "accountType": "User",
        "rootRole": 2,
        "scimId": None,
        "inviteLink": "https://example.org/new-user?token=t",
    }


UNLEASH = Shape(
    preset="Unleash",
    path="/api/admin/user-admin",
    row=_unleash_row,
    id=lambda one: str(one.number),
    lets_in=header("Authorization", SECRET),
    body=lambda page: {"users": list(page.rows), "rootRoles": [{"id": 2, "name": "Editor"}]},
    lists=lambda one, _: one.kind == "person" and not one.disabled,  # is_service, deleted_at
    counted=(ANN, BOB, AT_THE_START),
)

# routers/api/v1/admin/user.go, services/convert/user.go


def _gitea_row(one: Someone) -> Row:
    return {
        "id": one.number,
        "login": f"u{one.number}",
        "login_name": "",
        "source_id": 0,
        "full_name": "",
        "email": f"u{one.number}@example.org",
        "avatar_url": "",
        "html_url": "",
        "language": "",
        "is_admin": False,
        "last_login": zulu(one.seen) or "1970-01-01T00:00:00Z",
        "created": zulu(one.created),
        "restricted": False,
        "active": not one.disabled,
        "prohibit_login": False,
        "visibility": "public",
        "followers_count": 0,
        "username": f"u{one.number}",
    }


GITEA = Shape(
    preset="Gitea",
    path="/api/v1/admin/users",
    row=_gitea_row,
    id=lambda one: str(one.number),
    lets_in=header("Authorization", f"token {SECRET}"),
    body=lambda page: list(page.rows),
    span=by_page("page", "limit", usual=30, most=50),
    page_size=50,
    headers=lambda page, _: {"X-Total-Count": str(page.total)},
    lists=lambda one, _: one.kind == "person",  # type 4
)

# label_studio/users/api.py, label_studio/users/serializers.py


def _label_studio_row(one: Someone) -> Row:
    created = one.created.replace(microsecond=200_000)
    return {
        "id": one.number,
        "first_name": "",
        "last_name": "",
        "username": f"u{one.number}",
        "email": f"u{one.number}@example.org",
        "last_activity": zulu(one.seen or created.replace(microsecond=199_967), digits=6),
        "custom_hotkeys": {},
        "avatar": None,
        "initials": "u",
        "phone": "",
        "active_organization": None if one.disabled else 1,
        "active_organization_meta": {"title": "Label Studio", "email": "a@example.org"},
        "allow_newsletters": False,
        "date_joined": zulu(created, digits=6),
    }


def _label_studio_login(asked: Request) -> bytes:
    if asked.path != "/api/token/refresh/" or json.loads(asked.body) != {"refresh": SECRET}:
        return answer({"detail": "Token is invalid"}, "401 Unauthorized")
    return answer({"access": "short-token"})


LABEL_STUDIO = Shape(
    preset="LabelStudio",
    path="/api/users/",
    row=_label_studio_row,
    id=lambda one: str(one.number),
    lets_in=header("Authorization", "Bearer short-token"),
    sign_in=_label_studio_login,
    body=lambda page: list(page.rows),
    lists=lambda one, _: one.kind == "person",
    marks_never=False,
)

SHAPES = (SYNAPSE, SUPERSET, UNLEASH, GITEA, LABEL_STUDIO)
