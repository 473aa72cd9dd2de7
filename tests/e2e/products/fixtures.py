"""A product for a module of tests, or the reason why there is none."""

import os
from pathlib import Path

import pytest

from tests.e2e.products.installing import Installation, NotInstalled


def installed(installation: Installation) -> Path:
    """Return where a product is installed.

    Where it is not, the tests are skipped by name; in CI (``CI`` is set) that is a failure.
    """
    try:
        return installation.find()
    except NotInstalled as missing:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(missing))
