"""Where the redis-server program comes from: ``PATH``, if it is new enough."""

import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

from hack.programs import Installed, NoProgram

_SERVER: Final = Installed(name="redis-server", oldest=(7,), prefix="v=")
"""The first version that tells how many entries were ever added to a stream."""


@cache
def find() -> Path:
    """Return the program.

    Raises:
        NoProgram: There is none, or only an old one.
    """
    return located(os.environ)


def located(env: Mapping[str, str]) -> Path:
    """Return the program that this environment has; as ``find``."""
    path = _SERVER.located(env)
    if path is None:
        raise NoProgram(
            f"there is no {_SERVER.wanted} in PATH: install one (Debian, Ubuntu: apt-get install "
            "redis-server)"
        )
    return path
