"""Packages of PyPI, in an environment of the product's own, pinned by hash."""

import os
import sys
from pathlib import Path

from tests.e2e.products.installing import run

REQUIREMENTS = Path(__file__).parent / "requirements"
"""NAME.in says what is wanted, NAME.txt (``make lock``) what that means."""


def requirements(name: str) -> Path:
    """The lock file of a product."""
    return REQUIREMENTS / f"{name}.txt"


def install(folder: Path, name: str) -> None:
    """Make an environment in ``folder``; its programs are run by `python`.

    Raises:
        NotInstalled: The packages cannot be had, or not for this Python.
    """
    run([sys.executable, "-m", "venv", str(folder)])
    pip = [python(folder), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    run([*pip, "--require-hashes", "-r", str(requirements(name))], env=clean())


def python(folder: Path) -> str:
    """The interpreter of an environment."""
    return str(folder / "bin" / "python")


def site_packages(folder: Path) -> Path:
    """Where the packages of an environment are."""
    (found,) = (folder / "lib").glob("python*/site-packages")
    return found


def clean() -> dict[str, str]:
    """This environment without what the shell has set for Python."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
