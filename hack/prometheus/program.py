"""Where the programs come from: ``PATH``, if they are new enough."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from hack.programs import Installed, NoProgram

_SERVER: Final = Installed(name="prometheus", oldest=(2, 42), prefix="version ")
"""That of Debian 12."""
_TOOL: Final = Installed(name="promtool", oldest=_SERVER.oldest, prefix=_SERVER.prefix)


@dataclass(frozen=True, slots=True)
class Programs:
    """The server and its tool."""

    server: Path
    promtool: Path


@cache
def find() -> Programs:
    """Return the programs.

    Raises:
        NoProgram: One of them is missing, or old.
    """
    return located(os.environ)


def located(env: Mapping[str, str]) -> Programs:
    """Return the programs that this environment has; as ``find``."""
    server, tool = _SERVER.located(env), _TOOL.located(env)
    if server is None or tool is None:
        raise NoProgram(
            f"there is no {_SERVER.wanted} with promtool in PATH: install them (Debian, Ubuntu: "
            "apt-get install prometheus)"
        )
    return Programs(server, tool)
