"""One running NATS server on loopback."""

import json
from pathlib import Path
from typing import Any

from hack.brokers import Server
from hack.nats.program import find


class NatsServer(Server):
    """A NATS server; see `Server`."""

    NAME = "nats-server"
    READY = b"Server is ready"

    def __init__(self, folder: Path, *, program: Path | None = None, **config: Any) -> None:  # noqa: ANN401
        """Prepare.

        Args:
            folder: As of `Server`; likewise ``program``.
            program: Likewise.
            config: Members of the server's configuration, beside its address and ``jetstream``
                (``jetstream=None`` switches that off).
        """
        super().__init__(folder, program)
        settings = {
            "host": "127.0.0.1",
            "port": self.port,
            "jetstream": {"store_dir": str(folder / "streams")},
            **config,
        }
        self._config = folder / "server.conf"
        # The configuration's own format takes JSON.
        kept = {name: value for name, value in settings.items() if value is not None}
        self._config.write_text(json.dumps(kept, indent=1), encoding="utf-8")

    def _command(self, program: Path | None) -> list[str]:
        return [str(program or find()), "--config", str(self._config)]
