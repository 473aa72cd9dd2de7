"""Coder, GitLab, Forgejo, Bitbucket and SonarQube, as their sources and documents have it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from tests.sources.product import SECRET, Request
from tests.sources.recorded.first import GITEA, millis, zulu
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


def uuid_of(one: Someone) -> str:
    return str(UUID(int=one.number + (4 << 76) + (8 << 60)))


# coderd/database/queries/users.sql, codersdk/users.go


def _coder_row(one: Someone) -> Row:
    service = {"is_service_account": True} if one.kind == "program" else {}
    return service | {
        "id": uuid_of(one),
        "username": f"u{one.number}",
        "name": "",
        "avatar_url": "",
        "created_at": zulu(one.created, digits=6),
        "updated_at": zulu(one.created, digits=6),
        "email": f"u{one.number}@example.org",
        "last_seen_at": zulu(one.seen, digits=6) or "0001-01-01T00:00:00Z",
        "status": "suspended" if one.disabled else "active",
        "login_type": "oidc",
        "organization_ids": [],
        "roles": [],
    }


CODER = Shape(
    preset="Coder",
    path="/api/v2/users",
    row=_coder_row,
    id=uuid_of,
    lets_in=header("Coder-Session-Token", SECRET),
    body=lambda page: {"users": list(page.rows), "count": page.total},
    span=by_offset("offset", "limit", usual=1 << 30),
)

# lib/api/entities/user_public.rb, https://docs.gitlab.com/api/users/


def _gitlab_row(one: Someone) -> Row:
    return {
        "id": one.number,
        "username": f"u{one.number}",
        "name": f"User {one.number}",
        "state": "blocked" if one.disabled else "active",
        "created_at": zulu(one.created, digits=3),
        "last_sign_in_at": None,
        "last_activity_on": None if one.seen is None else f"{one.seen:%Y-%m-%d}",
        "email": f"u{one.number}@example.org",
        "bot": one.kind == "program",
        "is_admin": False,
    }


def _gitlab_headers(page: Page, asked: Request) -> Mapping[str, str | None]:
    number, size = int(asked.param("page") or 1), int(asked.param("per_page") or 20)
    kept = [(name, value) for name, value in asked.query if name != "page"]
    where = "https://git.example.org/api/v4/users"
    first, onward = (urlencode([*kept, ("page", n)]) for n in (1, number + 1))
    links = [f'<{where}?{first}>; rel="first"']
    if page.ends < page.total:
        links.insert(0, f'<{where}?{onward}>; rel="next"')
    return {"Link": ", ".join(links), "X-Per-Page": str(size), "X-Total": str(page.total)}


GITLAB = Shape(
    preset="GitLab",
    path="/api/v4/users",
    row=_gitlab_row,
    id=lambda one: str(one.number),
    lets_in=header("PRIVATE-TOKEN", SECRET),
    body=lambda page: list(page.rows),
    span=by_page("page", "per_page", usual=20, most=100),
    page_size=100,
    headers=_gitlab_headers,
    lists=lambda one, asked: one.kind == "person" or asked.param("humans") != "true",
)

# routers/api/v1/admin/user.go, as Gitea's

FORGEJO = replace(GITEA, preset="Forgejo")

# https://developer.atlassian.com/server/bitbucket/rest/, GET /rest/api/latest/admin/users


def _bitbucket_row(one: Someone) -> Row:
    seen = {} if one.seen is None else {"lastAuthenticationTimestamp": millis(one.seen)}
    return seen | {
        "name": f"u{one.number}",
        "emailAddress": f"u{one.number}@example.org",
        "active": not one.disabled,
        "displayName": f"User {one.number}",
        "id": one.number,
        "slug": f"u{one.number}",
        "type": "NORMAL",
        "directoryName": "Bitbucket Internal Directory",
        "deletable": True,
        "mutableDetails": True,
        "mutableGroups": True,
        "links": {"self": [{"href": f"http://localhost:7990/users/u{one.number}"}]},
    }


def _bitbucket_body(page: Page) -> Any:
    last = page.ends >= page.total
    return {
        "size": len(page.rows),
        "limit": 500,
        "isLastPage": last,
        "values": list(page.rows),
        "start": page.begins,
        "nextPageStart": None if last else page.ends,
    }


BITBUCKET = Shape(
    preset="BitbucketDataCenter",
    path="/rest/api/1.0/admin/users",
    row=_bitbucket_row,
    id=lambda one: str(one.number),
    lets_in=header("Authorization", f"Bearer {SECRET}"),
    body=_bitbucket_body,
    span=by_offset("start", "limit", usual=25, most=1000),
    page_size=500,
    lists=lambda one, _: one.kind == "person",
)

# org/sonar/server/v2/api/user/response/UserRestResponseForAdmins.java


def _sonarqube_row(one: Someone) -> Row:
    return {
        "id": uuid_of(one),
        "login": f"u{one.number}",
        "name": f"User {one.number}",
        "email": None,
        "active": True,
        "local": True,
        "managed": False,
        "externalLogin": f"u{one.number}",
        "externalProvider": "sonarqube",
        "avatar": None,
        "sonarQubeLastConnectionDate": None
        if one.seen is None
        else f"{one.seen:%Y-%m-%dT%H:%M:%S}+0000",
        "sonarLintLastConnectionDate": None,
        "scmAccounts": [],
    }


def _sonarqube_body(page: Page) -> Any:
    number = page.begins // 500 + 1
    return {
        "users": list(page.rows),
        "page": {"pageIndex": number, "pageSize": 500, "total": page.total},
    }


SONARQUBE = Shape(
    preset="SonarQube",
    path="/api/v2/users-management/users",
    row=_sonarqube_row,
    id=uuid_of,
    lets_in=header("Authorization", f"Bearer {SECRET}"),
    body=_sonarqube_body,
    span=by_page("pageIndex", "pageSize", usual=50, most=500),
    page_size=500,
    lists=lambda one, _: one.kind == "person" and not one.disabled,
    counted=(ANN, BOB, AT_THE_START),
)

SHAPES = (CODER, GITLAB, FORGEJO, BITBUCKET, SONARQUBE)
