"""Helm, for the tests of the chart: found in PATH, or built from its Go module."""

from hack.helm.program import find

__all__ = ["find"]
