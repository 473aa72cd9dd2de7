"""Where the helm program comes from: ``PATH`` (3.14 or newer), or a build from its Go module."""

import os
from functools import cache
from pathlib import Path
from typing import Final

from hack.programs import GoModule, Installed

_HELM: Final = GoModule(
    installed=Installed(
        name="helm", oldest=(3, 14), asked=("version", "--template", "{{.Version}}")
    ),
    folder=Path(__file__).parent,
    module="helm.sh/helm/v4",
    package="/cmd/helm",
)


@cache
def find() -> Path:
    """Return the program, building it the first time.

    Raises:
        NoProgram: There is no Go, or no network.
    """
    return _HELM.located(os.environ)
