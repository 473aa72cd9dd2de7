"""The programs of Prometheus for tests; skipped by name where there are none, but for CI."""

import os

import pytest

from hack.programs import NoProgram
from hack.prometheus import Programs, find


def programs() -> Programs:
    """Return them; skip where they are missing; in CI (``CI`` is set) that is a failure."""
    try:
        return find()
    except NoProgram as missing:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(missing))
