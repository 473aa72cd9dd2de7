"""Where the helm program comes from: ``PATH`` (3.14 or newer), or a build from its Go module."""

import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Final

from hack.programs import GoModule

_HELM: Final = GoModule(
    name="helm",
    folder=Path(__file__).parent,
    module="helm.sh/helm/v4",
    package="/cmd/helm",
    wanted="helm >= 3.14",
)
_OLDEST: Final = (3, 14)


@cache
def find() -> Path:
    """Return the program, building it the first time.

    Raises:
        NoProgram: There is no Go, or no network.
    """
    installed = shutil.which("helm")
    if installed is not None and _version(installed) >= _OLDEST:
        return Path(installed)
    return _HELM.built(os.environ)


def _version(program: str) -> tuple[int, int]:
    command = [program, "version", "--template", "{{.Version}}"]
    printed = subprocess.run(command, capture_output=True, text=True, check=False)
    version = re.search(r"v(\d+)\.(\d+)", printed.stdout)
    return (int(version[1]), int(version[2])) if version else (0, 0)
