"""Where the programs come from: ``PATH``, or where Debian keeps them, if they are new enough."""

import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

from hack.programs import Installed, NoProgram

_SERVER: Final = Installed(name="postgres", oldest=(14,), prefix="PostgreSQL) ")
"""The oldest major version that PostgreSQL's developers still mend."""
_POOLER: Final = Installed(name="pgbouncer", oldest=(1, 18), prefix="PgBouncer ")
_DEBIAN: Final = Path("/usr/lib/postgresql")


@cache
def find() -> Path:
    """Return the program ``postgres``; those that go with it lie in the same folder.

    Raises:
        NoProgram: There is none, or only an old one.
    """
    newest_first = sorted(_DEBIAN.glob("*/bin"), key=_major, reverse=True)
    return located(_SERVER, os.environ, newest_first)


@cache
def find_pooler() -> Path:
    """Return the program ``pgbouncer``; raise as ``find``."""
    return located(_POOLER, os.environ, [Path("/usr/sbin")])


def located(wanted: Installed, env: Mapping[str, str], more: list[Path]) -> Path:
    """Return the program in ``PATH`` or in the folders ``more``; as ``find``."""
    path = wanted.located({"PATH": os.pathsep.join([env.get("PATH", ""), *map(str, more)])})
    if path is None:
        raise NoProgram(
            f"there is no {wanted.wanted} in PATH: install one (Debian, Ubuntu: apt-get install "
            "postgresql pgbouncer)"
        )
    return path.resolve()


def _major(folder: Path) -> int:
    name = folder.parent.name
    return int(name) if name.isdecimal() else 0
