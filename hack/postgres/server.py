"""One running PostgreSQL server on loopback."""

import os
import signal
import subprocess
from pathlib import Path
from typing import ClassVar, Self

import psycopg
from psycopg import sql

from hack.brokers import NOBODY, Server
from hack.postgres.program import find

OWNER = "receiver"
"""The role that owns the databases; like the server's administrator it needs no password."""
_ADMIN = "postgres"
_ACCESS = f"""\
host all {_ADMIN},{OWNER} 127.0.0.1/32 trust
host all all 127.0.0.1/32 scram-sha-256
"""
_SETTINGS: dict[str, str] = {
    # What a crash of the machine would lose, tests do not need; a killed server loses nothing.
    "fsync": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "shared_buffers": "16MB",
    "max_connections": "100",
    "unix_socket_directories": "",
    "listen_addresses": "127.0.0.1",
    "lc_messages": "C",
    "deadlock_timeout": "50ms",
}


class PostgresServer(Server):
    """A PostgreSQL server; see `Server`."""

    NAME = "postgres"
    READY = b"database system is ready to accept connections"
    STOP = signal.SIGINT  # "fast": it does not wait for its clients
    END = signal.SIGQUIT  # at once, and without leaving shared memory behind, as SIGKILL does
    AS_NOBODY: ClassVar[bool] = True

    def __init__(self, folder: Path, *, program: Path | None = None, **settings: str) -> None:
        """Prepare.

        Args:
            folder: As of `Server`; likewise ``program``. Others must be able to enter it.
            program: Likewise.
            settings: Those of postgresql.conf, beside ours.
        """
        super().__init__(folder, program)
        self.data = folder / "data"
        self._settings = _SETTINGS | {"port": str(self.port)} | settings
        self._numbers = 0

    def start(self) -> Self:
        """Make its files the first time; start it and wait until it listens."""
        if not self.data.exists():
            self._initialise()
            super().start()
            self.execute(f"CREATE ROLE {OWNER} LOGIN")
            return self
        return super().start()

    def url(self, database: str, *, user: str = OWNER, password: str = "", **query: str) -> str:
        """Return the address of a database, as SQLAlchemy reads it; without TLS unless asked."""
        words = "&".join(
            f"{name}={value}" for name, value in ({"sslmode": "disable"} | query).items()
        )
        secret = f":{password}" if password else ""
        return f"postgresql+psycopg://{user}{secret}@127.0.0.1:{self.port}/{database}?{words}"

    def create(self, template: str = "template1", *, name: str = "") -> str:
        """Make a database, a copy of ``template``; return its name."""
        self._numbers += 1
        name = name or f"t{self._numbers}"
        # A quarter of the time that writing them to the log takes; PostgreSQL 14 knows no other.
        how = "" if self._major() < 15 else " STRATEGY FILE_COPY"
        self.execute(f"CREATE DATABASE {name} OWNER {OWNER} TEMPLATE {template}{how}")
        return name

    def drop(self, name: str) -> None:
        """Remove a database, whoever is still connected to it."""
        self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def execute(self, statement: str, *, database: str = "postgres") -> list[tuple[object, ...]]:
        """Run a statement of ours as administrator, outside a transaction; return its rows."""
        with self.connect(database) as connection:
            cursor = connection.execute(sql.SQL(statement))
            return cursor.fetchall() if cursor.description else []

    def connect(self, database: str) -> psycopg.Connection[tuple[object, ...]]:
        """Return an administrator's connection, which commits each statement."""
        return psycopg.connect(
            host="127.0.0.1", port=self.port, user=_ADMIN, dbname=database,
            sslmode="disable", autocommit=True,
        )  # fmt: skip

    def dump(self, database: str) -> str:
        """Return what pg_dump writes of a database, as SQL."""
        command = ["--host=127.0.0.1", f"--port={self.port}", f"--username={OWNER}", database]
        done = subprocess.run(
            [self._tool("pg_dump"), *command], capture_output=True, text=True, check=True
        )
        return done.stdout

    def restore(self, database: str, dump: str) -> None:
        """Have psql run a dump in an empty database, as its owner."""
        command = ["--host=127.0.0.1", f"--port={self.port}", f"--username={OWNER}", database]
        options = ["--quiet", "--no-psqlrc", "--set=ON_ERROR_STOP=1"]
        subprocess.run(
            [self._tool("psql"), *options, *command],
            input=dump,
            stdout=subprocess.DEVNULL,
            text=True,
            check=True,
        )

    def reload(self) -> None:
        """Have it read its configuration and certificates anew."""
        self.execute("SELECT pg_reload_conf()")

    def _initialise(self) -> None:
        user = NOBODY if os.geteuid() == 0 else None
        options = [
            "--auth=reject",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
            "--no-instructions",
        ]
        subprocess.run(
            [self._tool("initdb"), "-D", str(self.data), "-U", _ADMIN, *options],
            user=user,
            group=user,
            cwd=self._folder,
            stdout=subprocess.DEVNULL,
            check=True,
        )
        (self.data / "pg_hba.conf").write_text(_ACCESS, "utf-8")

    def _major(self) -> int:
        return int((self.data / "PG_VERSION").read_text("ascii"))

    def _tool(self, name: str) -> str:
        return str((self._program or find()).with_name(name))

    def _command(self, program: Path | None) -> list[str]:
        settings = [f"--{name}={value}" for name, value in self._settings.items()]
        return [str(program or find()), "-D", str(self.data), *settings]
