"""A program in ``PATH``, or built from its Go module, once, and then kept in the user's cache.

Version and checksums are those of the committed go.mod and go.sum, in the folder of the module.
"""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hack.controlplane.binaries import cache_folder
from hack.controlplane.progress import Progress
from hack.programs.installed import Installed
from hack.programs.preparing import NoProgram


@dataclass(frozen=True, slots=True, kw_only=True)
class GoModule:
    """What is built, from where.

    Attributes:
        installed: The program, as it is looked for in ``PATH`` first.
        folder: It has go.mod and go.sum.
        module: Its path, as go.mod requires it.
        package: Of the program, below ``module``; empty: the module's own.
    """

    installed: Installed
    folder: Path
    module: str
    package: str = ""

    @property
    def name(self) -> str:
        """Of the program."""
        return self.installed.name

    def located(self, env: Mapping[str, str]) -> Path:
        """Return the program that this environment has, or a build of it.

        Raises:
            NoProgram: There is neither, and there is no Go, or no network.
        """
        return self.installed.located(env) or self.built(env)

    def built(self, env: Mapping[str, str]) -> Path:
        """Return the program in the user's cache, building it the first time.

        Raises:
            NoProgram: There is no Go, or no network.
        """
        kept = cache_folder(env).parent / self.name.split("-")[0] / f"{self.name}-{self._version()}"
        if not kept.is_file():
            kept.parent.mkdir(parents=True, exist_ok=True)
            self._build(kept, env)
        return kept

    def _version(self) -> str:
        text = (self.folder / "go.mod").read_text("utf-8")
        version = re.search(rf"{re.escape(self.module)} v(\S+)", text)
        assert version is not None  # noqa: S101 - the file is ours
        return version[1]

    def _build(self, into: Path, env: Mapping[str, str]) -> None:
        go = shutil.which("go", path=env.get("PATH", ""))
        if go is None:
            raise NoProgram(
                f"there is no {self.installed.wanted} in PATH, and no go command to build one: "
                "install either of them (https://go.dev/dl/)"
            )
        ours = {"CGO_ENABLED": "0", "GOWORK": "off", "GOFLAGS": "", "GOTOOLCHAIN": "local"}
        with tempfile.TemporaryDirectory(dir=into.parent) as folder:
            made = Path(folder) / self.name
            command = [go, "build", "-trimpath", "-mod=readonly", "-ldflags", "-s -w"]
            with Progress(about=self.name).step("built from its Go module, once"):
                done = subprocess.run(
                    [*command, "-o", str(made), self.module + self.package],
                    cwd=self.folder,
                    env={**env, **ours},
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    text=True,
                    check=False,
                )
            if done.returncode != 0:
                raise NoProgram(
                    f"go build of {self.name} failed (is there a network?):\n{done.stderr[-2000:]}"
                )
            made.replace(into)
