"""The real operator with a defect: ``python broken_operator.py`` fails for objects by their names.

An object named after a point below meets an exception there that nothing in the product speaks of;
every other object is served as always. Nothing of this is known to the product's code.
"""

# ruff: noqa: E402 - the path comes first

import asyncio
import functools
import sys
from pathlib import Path

# The product that stands beside these tests, wherever another one is installed.
sys.path[:0] = [str(Path(__file__).parents[2] / "operator")]

from licenseusage.api.licenseusage import LicenseUsage
from licenseusage.cli import main
from licenseusage.controller.effects.collection import Collector
from licenseusage.controller.effects.deliveries import Deliveries
from licenseusage.controller.rules import declared, sourceplan, status
from licenseusage.controller.steps import counting, licensing, reconcile, reporting

POINTS = {
    "in-the-model": (LicenseUsage, "model_validate"),
    "in-the-meter": (reconcile, "gathered"),
    "in-licensing": (licensing, "step"),
    "in-the-definition": (declared, "effective"),
    "in-the-schedule": (sourceplan, "next_poll"),
    "in-counting": (counting, "step"),
    "in-the-poll": (Collector, "_poll"),
    "in-reporting": (reporting, "replace_refused"),
    "in-the-delivery": (Deliveries, "_deliver"),
    "in-the-view": (reconcile, "view_of"),
    "in-the-status": (status, "compose"),
}


class Unforeseen(Exception):
    """What nobody thought of."""


def about(name, arguments):
    """Whether a call is about the object of this name, or about its source, which bears it, too."""
    if isinstance(arguments[0], Deliveries):
        arguments = [arguments[0]._errands.get(arguments[1])]
    for value in arguments:
        key = getattr(value, "key", None)
        seen = {
            getattr(key, "name", None),
            key.partition("/")[2].partition("/")[0] if isinstance(key, str) else None,
            getattr(getattr(value, "metadata", None), "name", None),
            getattr(value, "name", None),
            value.get("metadata", {}).get("name") if isinstance(value, dict) else None,
        }
        if name in seen:
            return True
    return False


def broken(name, method):
    def wrapped(*args, **kwargs):
        if about(name, [*args, *kwargs.values()]):
            raise Unforeseen(f"a private value of {name}")
        return method(*args, **kwargs)

    async def awaited(*args, **kwargs):
        if about(name, [*args, *kwargs.values()]):
            raise Unforeseen(f"a private value of {name}")
        return await method(*args, **kwargs)

    return functools.wraps(method)(awaited if asyncio.iscoroutinefunction(method) else wrapped)


if __name__ == "__main__":
    for name, (owner, attribute) in POINTS.items():
        setattr(owner, attribute, broken(name, getattr(owner, attribute)))
    sys.argv = ["licenseusage", "operator"]
    main()
