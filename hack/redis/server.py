"""One running Redis server on loopback."""

from collections.abc import Iterable
from pathlib import Path

from hack.brokers import Server
from hack.redis.program import find


class RedisServer(Server):
    """A Redis server; see `Server`."""

    NAME = "redis-server"
    READY = b"Ready to accept connections"

    def __init__(
        self,
        folder: Path,
        *settings: str,
        program: Path | None = None,
        tls: Iterable[str] | None = None,
    ) -> None:
        """Prepare.

        Args:
            folder: As of `Server`; likewise ``program``.
            settings: Lines of redis.conf, beside its address; nothing is saved unless they say so.
            program: Likewise.
            tls: Lines of redis.conf about certificates: the port speaks TLS then.
        """
        super().__init__(folder, program)
        ports = [f"port {self.port}"] if tls is None else ["port 0", f"tls-port {self.port}", *tls]
        lines = ["bind 127.0.0.1", *ports, f"dir {folder}", 'save ""', *settings]
        self._config = folder / "redis.conf"
        self._config.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def _command(self, program: Path | None) -> list[str]:
        return [str(program or find()), str(self._config)]
