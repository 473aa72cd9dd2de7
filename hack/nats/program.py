"""Where the nats-server program comes from; the first of three places that has it.

``PATH``, if it is new enough to tell its time; the user's cache; a build from its Go module.
"""

import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

from hack.programs import GoModule, Installed

_SERVER: Final = GoModule(
    # The first version whose answers tell the server's time.
    installed=Installed(name="nats-server", oldest=(2, 10)),
    folder=Path(__file__).parent,
    module="github.com/nats-io/nats-server/v2",
)


@cache
def find() -> Path:
    """Return the program, building it the first time.

    Raises:
        NoProgram: There is no Go, or no network.
    """
    return located(os.environ)


def located(env: Mapping[str, str]) -> Path:
    """Return the program that this environment has, or a build of it; as ``find``."""
    return _SERVER.located(env)
