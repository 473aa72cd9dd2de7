"""A real Prometheus and promtool for tests: found, started, never left behind."""

from hack.prometheus.program import Programs, find
from hack.prometheus.server import PrometheusServer

__all__ = ["Programs", "PrometheusServer", "find"]
