"""One running Prometheus on loopback."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

from hack.brokers import Server
from hack.prometheus.program import find

_SECONDS = 10


class PrometheusServer(Server):
    """A Prometheus that scrapes each second; see `Server`."""

    NAME = "prometheus"
    READY = b"Server is ready to receive web requests."

    def __init__(
        self,
        folder: Path,
        *,
        targets: Iterable[str],
        rules: Iterable[Path] = (),
        labels: dict[str, str] | None = None,
        program: Path | None = None,
    ) -> None:
        """Prepare.

        Args:
            folder: As of `Server`; likewise ``program``.
            targets: ``host:port`` of what is scraped.
            rules: Files of rules, which are evaluated each second.
            labels: What the scraper adds to each series, as service discovery does.
            program: Likewise.
        """
        super().__init__(folder, program)
        self._config = folder / "prometheus.yaml"
        static = {"targets": list(targets), "labels": labels or {}}
        settings = {
            "global": {
                "scrape_interval": "1s",
                "scrape_timeout": "1s",
                "evaluation_interval": "1s",
            },
            "rule_files": [str(path) for path in rules],
            "scrape_configs": [{"job_name": "licenseusage", "static_configs": [static]}],
        }
        self._config.write_text(json.dumps(settings), "utf-8")  # JSON is YAML

    def ask(self, path: str, **query: str) -> Any:  # noqa: ANN401 - whatever the API answers
        """Return ``data`` of an answer of its API, such as ``query`` with ``query="up"``.

        Raises:
            OSError: It refused, or did not answer within ten seconds.
        """
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urlencode(query)}"
        with urlopen(url, timeout=_SECONDS) as answer:
            return json.load(answer)["data"]

    def _command(self, program: Path | None) -> list[str]:
        return [
            str(program or find().server),
            f"--config.file={self._config}",
            f"--storage.tsdb.path={self._folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
        ]
