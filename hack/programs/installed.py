"""A program in ``PATH``, if it is new enough."""

import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """What is looked for.

    Attributes:
        name: Of the program.
        oldest: The first version that will do, as far as it is compared.
        asked: Arguments that make it print its version.
        prefix: What stands right before the version in what it prints.
    """

    name: str
    oldest: tuple[int, ...]
    asked: tuple[str, ...] = ("--version",)
    prefix: str = "v"

    @property
    def wanted(self) -> str:
        """What messages call it, such as ``nats-server >= 2.10``."""
        return f"{self.name} >= {'.'.join(map(str, self.oldest))}"

    def located(self, env: Mapping[str, str]) -> Path | None:
        """Return the program that this environment has; None: there is none, or an old one."""
        path = shutil.which(self.name, path=env.get("PATH", ""))
        return Path(path) if path is not None and self._version(path) >= self.oldest else None

    def _version(self, program: str) -> tuple[int, ...]:
        command = [program, *self.asked]
        printed = subprocess.run(command, capture_output=True, text=True, check=False).stdout
        version = re.search(rf"\b{re.escape(self.prefix)}(\d+(?:\.\d+)*)", printed)
        return tuple(map(int, version[1].split("."))) if version else ()
