"""Synapse from PyPI on SQLite, and what people do with it."""

import hashlib
import hmac
import json
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.loopback import client, free_ports
from tests.e2e.products import packages
from tests.e2e.products.installing import Installation
from tests.e2e.products.processes import answers, place

VERSION = "1.163.2"
INSTALLATION = Installation(
    "synapse",
    (packages.requirements("synapse"),),
    lambda folder: packages.install(folder, "synapse"),
)
SERVER = "chat.example.org"
METER = "license-meter"

_COUNTS_OFTEN = """
from synapse.app import homeserver, phone_stats_home
from synapse.util.duration import Duration

phone_stats_home.COUNT_USERS_INTERVAL = Duration(seconds=1)
homeserver.main()
"""
"""The homeserver as it is, but for its number of active users: not every five minutes."""


@dataclass(frozen=True, slots=True)
class Synapse:
    """A running homeserver; accounts have the password ``NAME-secret``.

    Attributes:
        database: Its SQLite file.
        token: Of the administrator `METER`.
    """

    port: int
    database: Path
    token: str

    def call(self, method: str, path: str, token: str = "", **body: Any) -> Any:
        """Call an API of Matrix, or the administrators' with the meter's token."""
        headers = {"Authorization": f"Bearer {token or self.token}"}
        content = json.dumps(body) if method != "GET" else None
        with client(self.port) as program:
            answer = program.request(method, path, headers=headers, content=content)
        return answer.raise_for_status().json()

    def create(self, name: str, **properties: Any) -> None:
        """Create an account, as an administrator does; nobody has signed in."""
        properties = {"password": f"{name}-secret"} | properties
        self.call("PUT", f"/_synapse/admin/v2/users/{user_id(name)}", **properties)

    def deactivate(self, name: str) -> None:
        """Deactivate it, as an administrator does."""
        self.call("POST", f"/_synapse/admin/v1/deactivate/{user_id(name)}", erase=False)

    def sign_in(self, name: str, device: str = "browser") -> str:
        """Sign in with the password on a new device; return its access token."""
        who = {"type": "m.id.user", "user": name}
        answer = self.call(
            "POST",
            "/_matrix/client/v3/login",
            type="m.login.password",
            identifier=who,
            device_id=device,
            password=f"{name}-secret",
        )
        return str(answer["access_token"])

    def say(self, token: str) -> None:
        """Write into a new room: the key action."""
        room = self.call("POST", "/_matrix/client/v3/createRoom", token, name="kitchen")["room_id"]
        path = f"/_matrix/client/v3/rooms/{room}/send/m.room.message/1"
        self.call("PUT", path, token, msgtype="m.text", body="hello")

    def sign_out(self, token: str) -> None:
        """End a session; its device is gone."""
        self.call("POST", "/_matrix/client/v3/logout", token)

    def last_seen(self, name: str) -> int | None:
        """What the list of accounts says of one, in ms since 1970."""
        rows = self.call("GET", f"/_synapse/admin/v2/users?deactivated=true&name={name}")["users"]
        (row,) = rows
        return None if row["last_seen_ts"] is None else int(row["last_seen_ts"])

    def has_written(self, name: str, device: str) -> bool:
        """Whether the use of somebody's device is in the database: each device is written apart."""
        with closing(sqlite3.connect(self.database, timeout=30)) as database:
            (seen,) = database.execute(
                "SELECT last_seen FROM devices WHERE user_id = ? AND device_id = ?",
                (user_id(name), device),
            ).fetchone()
        return seen is not None

    def was_seen(self, name: str, at_ms: int, device: str = "browser") -> None:
        """Make what was recorded of somebody's device older, in the database."""
        with closing(sqlite3.connect(self.database, timeout=30)) as database, database:
            changed = database.execute(
                "UPDATE devices SET last_seen = ? WHERE user_id = ? AND device_id = ?",
                (at_ms, user_id(name), device),
            )
            assert changed.rowcount == 1


def user_id(name: str) -> str:
    """The whole id of an account."""
    return f"@{name}:{SERVER}"


@contextmanager
def running(folder: Path) -> Iterator[Synapse]:
    """A new homeserver whose only account is its administrator's.

    Args:
        folder: Of its installation.
    """
    with place() as here:
        (port,) = free_ports(1)
        shared, database = secrets.token_hex(16), here.folder / "homeserver.db"
        key = here.folder / "signing.key"
        key.write_text(f"ed25519 a_test {'A' * 43}\n")
        limits = {"per_second": 1000, "burst_count": 1000}
        config = {
            "server_name": SERVER,
            "report_stats": False,
            "suppress_key_server_warning": True,
            "trusted_key_servers": [],
            "listeners": [
                {
                    "port": port,
                    "type": "http",
                    "bind_addresses": ["127.0.0.1"],
                    "resources": [{"names": ["client", "metrics"]}],
                }
            ],
            "enable_metrics": True,
            "mau_stats_only": True,
            "database": {"name": "sqlite3", "args": {"database": str(database)}},
            "media_store_path": str(here.folder / "media"),
            "signing_key_path": str(key),
            "registration_shared_secret": shared,
            "macaroon_secret_key": secrets.token_hex(16),
            "form_secret": secrets.token_hex(16),
            "bcrypt_rounds": 4,
            "rc_login": {"address": limits, "account": limits, "failed_attempts": limits},
        }
        written = here.folder / "homeserver.yaml"
        written.write_text(json.dumps(config))
        python = packages.python(folder)
        here.start("synapse", [python, "-c", _COUNTS_OFTEN, "-c", str(written)])
        here.until("synapse", answers(port, "/health"))
        yield Synapse(port, database, _administrator(port, shared))


def _administrator(port: int, shared: str) -> str:
    """Register the first account, as ``register_new_matrix_user`` does; return its token."""
    path = "/_synapse/admin/v1/register"
    with client(port) as program:
        nonce = program.get(path).raise_for_status().json()["nonce"]
    password = secrets.token_hex(16)
    signed = "\0".join((nonce, METER, password, "admin"))
    body = {
        "nonce": nonce,
        "username": METER,
        "password": password,
        "admin": True,
        "mac": hmac.new(shared.encode(), signed.encode(), hashlib.sha1).hexdigest(),
    }
    with client(port) as program:
        answer = program.post(path, json=body)
    return str(answer.raise_for_status().json()["access_token"])
