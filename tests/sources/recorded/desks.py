"""Mattermost, Grafana, Nextcloud, authentik, Sentry, Metabase, Vaultwarden and SCIM 2.0."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

from tests.sources.product import ADMIN, SECRET, Request, answer
from tests.sources.recorded.first import millis, zulu
from tests.sources.recorded.forges import uuid_of
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
    number_of,
)

BASIC = "Basic " + b64encode(f"{ADMIN}:{SECRET}".encode()).decode()
BEARER = header("Authorization", f"Bearer {SECRET}")

# server/channels/api4/report.go, server/public/model/report.go


def _mattermost_row(one: Someone) -> Row:
    seen = {} if one.seen is None else {"last_status_at": millis(one.seen)}
    bot = {"is_bot": True} if one.kind == "program" else {}
    return {
        "id": f"{one.number:026}",
        "create_at": millis(one.created),
        "update_at": millis(one.created),
        "delete_at": millis(one.seen) if one.disabled else 0,
        "username": f"u{one.number}",
        "roles": "system_user",
        "total_posts": 3,
        **bot,
        **seen,
    }


def _mattermost_span(asked: Request, rows: Sequence[Row]) -> tuple[int, int]:
    after = [n for n, row in enumerate(rows, 1) if row["id"] == asked.param("from_id")]
    return (after[0] if after else 0), number_of(asked, "page_size", 50)


MATTERMOST = Shape(
    preset="Mattermost",
    path="/api/v4/reports/users",
    row=_mattermost_row,
    id=lambda one: f"{one.number:026}",
    lets_in=BEARER,
    body=lambda page: list(page.rows) or None,  # Go writes an empty slice that was never made so
    span=_mattermost_span,
    page_size=100,
    lists=lambda one, asked: not one.disabled or asked.param("hide_inactive") != "true",
)

# pkg/services/searchusers/searchusers.go, pkg/services/user/userimpl/user.go


def _grafana_row(one: Someone) -> Row:
    never = one.created.replace(year=one.created.year - 10)
    return {
        "id": one.number,
        "uid": f"uid{one.number}",
        "name": "",
        "login": f"u{one.number}",
        "email": f"u{one.number}@example.org",
        "avatarUrl": "/avatar/1",
        "isAdmin": False,
        "isDisabled": one.disabled,
        "lastSeenAt": zulu(one.seen or never),
        "lastSeenAtAge": "3 days",
        "authLabels": [],
    }


GRAFANA = Shape(
    preset="Grafana",
    path="/api/users/search",
    row=_grafana_row,
    id=lambda one: str(one.number),
    lets_in=header("Authorization", BASIC),
    body=lambda page: {
        "totalCount": page.total,
        "users": list(page.rows),
        "page": page.begins // 1000 + 1,
        "perPage": 1000,
    },
    span=by_page("page", "perpage", usual=1000),
    page_size=1000,
    lists=lambda one, _: one.kind == "person",
    marks_never=False,
)

# apps/provisioning_api/lib/Controller/{UsersController,AUserDataOCSController}.php


def _nextcloud_row(one: Someone) -> Row:
    return {
        "enabled": not one.disabled,
        "storageLocation": f"/data/u{one.number}",
        "id": f"u{one.number}",
        "lastLogin": millis(one.seen) or 0,
        "backend": "Database",
        "subadmin": [],
        "quota": {"used": 0},
        "email": None,
        "groups": [],
    }


def _nextcloud_body(page: Page) -> Any:
    users = {row["id"]: row for row in page.rows} or []  # PHP writes an empty map as a list
    return {"ocs": {"meta": {"status": "ok", "statuscode": 200}, "data": {"users": users}}}


def _nextcloud_lets_in(asked: Request) -> bool:
    headers = asked.headers
    return headers.get("authorization") == BASIC and headers.get("ocs-apirequest") == "true"


NEXTCLOUD = Shape(
    preset="Nextcloud",
    path="/ocs/v2.php/cloud/users/details",
    row=_nextcloud_row,
    id=lambda one: f"u{one.number}",
    lets_in=_nextcloud_lets_in,
    body=_nextcloud_body,
    lists=lambda one, _: one.kind == "person",
)

# authentik/core/api/users.py


def _authentik_row(one: Someone) -> Row:
    return {
        "pk": one.number,
        "username": f"u{one.number}",
        "name": "",
        "is_active": not one.disabled,
        "last_login": zulu(one.seen, digits=6),
        "is_superuser": False,
        "groups": [],
        "email": "",
        "attributes": {},
        "uid": f"{one.number:064}",
        "path": "users",
        "type": "service_account" if one.kind == "program" else "internal",
    }


def _authentik_body(page: Page) -> Any:
    number, more = page.begins // 100 + 1, page.ends < page.total
    return {
        "pagination": {
            "next": number + 1 if more else 0,
            "previous": number - 1,
            "count": page.total,
            "current": number,
            "total_pages": -(-page.total // 100),
            "start_index": page.begins + 1,
            "end_index": page.ends,
        },
        "results": list(page.rows),
    }


AUTHENTIK = Shape(
    preset="Authentik",
    path="/api/v3/core/users/",
    row=_authentik_row,
    id=lambda one: str(one.number),
    lets_in=BEARER,
    body=_authentik_body,
    span=by_page("page", "page_size", usual=20, most=100),
    page_size=100,
)

# src/sentry/api/serializers/models/user.py, src/sentry/middleware/user.py


def _sentry_row(one: Someone) -> Row:
    invited = one.kind == "program"
    user = {
        "id": str(one.number),
        "name": "",
        "username": f"u{one.number}",
        "email": f"u{one.number}@example.org",
        "isActive": True,
        "dateJoined": zulu(one.created.replace(microsecond=100_000), digits=6),
        "lastLogin": None,
        "lastActive": zulu(one.seen or one.created, digits=6),
    }
    return {
        "id": str(one.number + 500_000),
        "email": f"u{one.number}@example.org",
        "name": "",
        "user": None if invited else user,
        "role": "member",
        "pending": invited,
        "expired": False,
    }


def _sentry_headers(page: Page, asked: Request) -> Mapping[str, str | None]:
    where = f"https://sentry.example.org{asked.path}?per_page=100"
    more = "true" if page.ends < page.total else "false"
    here = f'<{where}&cursor=100:{page.begins}:1>; rel="previous"; results="false"; cursor="c"'
    link = f'<{where}&cursor=100:{page.ends}:0>; rel="next"; results="{more}"; cursor="d"'
    return {"Link": f"{here}, {link}"}


def _sentry_span(asked: Request, _: Sequence[Row]) -> tuple[int, int]:
    cursor = asked.param("cursor") or "100:0:0"
    return int(cursor.split(":")[1]), min(number_of(asked, "per_page", 100), 100)


SENTRY = Shape(
    preset="Sentry",
    path="/api/0/organizations/acme/members/",
    row=_sentry_row,
    id=lambda one: str(one.number),
    lets_in=BEARER,
    body=lambda page: list(page.rows),
    span=_sentry_span,
    page_size=100,
    headers=_sentry_headers,
    lists=lambda one, _: not one.disabled,
    counted=(ANN, BOB, AT_THE_START),
    marks_never=False,
)

# src/metabase/users/api.clj


def _metabase_row(one: Someone) -> Row:
    return {
        "id": one.number,
        "email": f"u{one.number}@example.org",
        "first_name": "U",
        "last_name": str(one.number),
        "common_name": f"U {one.number}",
        "date_joined": zulu(one.created, digits=6),
        "last_login": zulu(one.seen, digits=6),
        "is_active": not one.disabled,
        "is_superuser": False,
        "is_qbnewb": False,
        "personal_collection_id": one.number,
    }


METABASE = Shape(
    preset="Metabase",
    path="/api/user",
    row=_metabase_row,
    id=lambda one: str(one.number),
    lets_in=header("X-API-KEY", SECRET),
    body=lambda page: {"data": list(page.rows), "total": page.total, "limit": None, "offset": None},
    span=by_offset("offset", "limit", usual=1 << 30),
    lists=lambda one, asked: (
        one.kind == "person" and (not one.disabled or asked.param("status") == "all")
    ),
)

# src/api/admin.rs, src/db/models/user.rs


def _vaultwarden_row(one: Someone) -> Row:
    return {
        "_status": 0,
        "id": uuid_of(one),
        "name": f"u{one.number}",
        "email": f"u{one.number}@example.org",
        "object": "profile",
        "userEnabled": not one.disabled,
        "createdAt": f"{one.created:%Y-%m-%d %H:%M:%S} UTC",
        "lastActive": None if one.seen is None else f"{one.seen:%Y-%m-%d %H:%M:%S} UTC",
    }


def _vaultwarden_login(asked: Request) -> bytes:
    form = dict(parse_qsl(asked.body.decode()))
    html = {"Content-Type": "text/html"}
    if asked.path != "/admin" or form.get("token") != SECRET:
        return answer(b"<form>", "401 Unauthorized", headers=html)
    html |= {"Set-Cookie": "VW_ADMIN=jwt; HttpOnly; SameSite=Strict; Path=/admin; Max-Age=1200"}
    if "redirect" not in form:
        return answer(b"<!DOCTYPE html>", headers=html)
    return answer(b"", "303 See Other", headers=html | {"Location": f"/admin{form['redirect']}"})


VAULTWARDEN = Shape(
    preset="Vaultwarden",
    path="/admin/users",
    row=_vaultwarden_row,
    id=uuid_of,
    lets_in=header("Cookie", "VW_ADMIN=jwt"),
    sign_in=_vaultwarden_login,
    body=lambda page: list(page.rows),
    lists=lambda one, _: one.kind == "person",
)

# RFC 7644 §3.4.2, with an extension (RFC 7643 §3.3)

ACTIVITY = "urn:example:scim:schemas:extension:activity:2.0:User"


def _scim_row(one: Someone) -> Row:
    seen = {} if one.seen is None else {ACTIVITY: {"lastActive": zulu(one.seen)}}
    return seen | {
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User", ACTIVITY],
        "id": uuid_of(one),
        "externalId": f"e{one.number}",
        "userName": f"u{one.number}",
        "active": not one.disabled,
        "meta": {"resourceType": "User", "lastModified": zulu(one.created)},
    }


SCIM = Shape(
    preset="SCIM",
    path="/scim/v2/Users",
    row=_scim_row,
    id=uuid_of,
    lets_in=BEARER,
    body=lambda page: {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
        "totalResults": page.total,
        "startIndex": page.begins + 1,
        "itemsPerPage": len(page.rows),
        "Resources": list(page.rows),
    },
    span=by_offset("startIndex", "count", usual=100, most=100, first=1),
    page_size=100,
    lists=lambda one, _: one.kind == "person",
)

SHAPES = (MATTERMOST, GRAFANA, NEXTCLOUD, AUTHENTIK, SENTRY, METABASE, VAULTWARDEN, SCIM)
