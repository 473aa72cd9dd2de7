"""Put a broken module in the place of the one that is loaded, without importing anything anew.

The code of each function and method is exchanged, and its defaults; so is each constant, wherever
it has been imported to. Everything else (classes, the functions themselves) keeps its identity, so
that tests that were collected before run against the broken rules.
"""

import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from types import FunctionType, ModuleType
from typing import Any


def transplant(module: ModuleType, source: str) -> None:
    """Break a loaded module as ``source`` says; whatever that raises is the mutant's fault."""
    broken = ModuleType(module.__name__)
    broken.__file__ = module.__file__
    sys.modules[module.__name__] = broken  # dataclasses look their own module up
    try:
        exec(compile(source, str(module.__file__), "exec"), broken.__dict__)  # noqa: S102
    finally:
        sys.modules[module.__name__] = module
    new = dict(functions(broken))
    for name, old in functions(module):
        if name in new:
            old.__code__ = new[name].__code__
            # What did not change keeps its identity: a member of an enum is compared by it.
            if old.__defaults__ != new[name].__defaults__:
                old.__defaults__ = new[name].__defaults__
            if old.__kwdefaults__ != new[name].__kwdefaults__:
                old.__kwdefaults__ = new[name].__kwdefaults__
    for name, old_value in list(vars(module).items()):
        value = vars(broken).get(name)
        if isinstance(old_value, int | tuple | str | datetime | timedelta) and value != old_value:
            _rebind(name, old_value, value)


def functions(module: ModuleType) -> Iterator[tuple[str, FunctionType]]:
    """Yield every function of a module and of its classes, by qualified name."""
    yield from _of(module.__name__, vars(module), "")


def _of(module: str, names: dict[str, Any], prefix: str) -> Iterator[tuple[str, FunctionType]]:
    for name, value in list(names.items()):
        if isinstance(value, property):
            value = value.fget
        if isinstance(value, classmethod | staticmethod):
            value = value.__func__
        if isinstance(value, FunctionType) and value.__module__ in {module, f"namedtuple_{name}"}:
            yield prefix + name, value
        elif isinstance(value, FunctionType) and name == "__new__":  # of a named tuple
            yield prefix + name, value
        elif isinstance(value, type) and value.__module__ == module and not prefix:
            yield from _of(module, dict(vars(value)), f"{name}.")


def _rebind(name: str, old: object, new: object) -> None:
    for other in list(sys.modules.values()):
        if getattr(other, "__name__", "").startswith(("licenseusage.", "tests.")):
            value = vars(other).get(name)
            if type(value) is type(old) and value == old:
                setattr(other, name, new)
