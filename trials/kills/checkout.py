"""Where the code is that is put to the test: in this checkout, whatever is installed."""

import os
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent.parent


def environment() -> dict[str, str]:
    """Return an environment in which a child process imports the code of this checkout."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "operator"), str(ROOT)])}
