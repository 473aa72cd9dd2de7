"""``python -m hack.helm``: have Helm for the tests of the chart, built the first time."""

import sys

from hack.helm.program import find
from hack.programs import prepare

if __name__ == "__main__":
    sys.exit(prepare("helm", find))
