"""``python -m hack.prometheus``: look for Prometheus and promtool for the tests."""

import sys

from hack.programs import prepare
from hack.prometheus.program import find

if __name__ == "__main__":
    sys.exit(prepare("prometheus", lambda: find().server))
