"""One running PgBouncer on loopback, as CloudNativePG's pooler sets it up: by transaction."""

import signal
from pathlib import Path
from typing import ClassVar

from hack.brokers import Server
from hack.postgres.program import find_pooler
from hack.postgres.server import OWNER, PostgresServer


class PgBouncerServer(Server):
    """A pooler before a PostgreSQL server; see `Server`."""

    NAME = "pgbouncer"
    READY = b"process up"
    STOP = signal.SIGTERM
    AS_NOBODY: ClassVar[bool] = True

    def __init__(
        self, folder: Path, behind: PostgresServer, *, size: int = 2, program: Path | None = None
    ) -> None:
        """Prepare.

        Args:
            folder: As of `Server`; likewise ``program``.
            behind: The server that it connects to.
            size: How many connections it holds to each database: fewer than its clients do.
            program: Likewise.
        """
        super().__init__(folder, program)
        self._config = folder / "pgbouncer.ini"
        users = folder / "users.txt"
        users.write_text(f'"{OWNER}" ""\n', "utf-8")
        self._config.write_text(
            "[databases]\n"
            f"* = host=127.0.0.1 port={behind.port}\n"
            "[pgbouncer]\n"
            f"listen_addr = 127.0.0.1\nlisten_port = {self.port}\nunix_socket_dir =\n"
            f"auth_type = trust\nauth_file = {users}\n"
            f"pool_mode = transaction\ndefault_pool_size = {size}\nserver_reset_query =\n",
            "utf-8",
        )

    def url(self, database: str) -> str:
        """Return the address of a database behind it."""
        return f"postgresql+psycopg://{OWNER}@127.0.0.1:{self.port}/{database}?sslmode=disable"

    def _command(self, program: Path | None) -> list[str]:
        return [str(program or find_pooler()), str(self._config)]
