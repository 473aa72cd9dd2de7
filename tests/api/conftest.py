"""The tables of objects that must be accepted and refused, shared by all tests of the API."""

import copy
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

OBJECTS = Path(__file__).parent / "objects"


@dataclass(frozen=True)
class Refused:
    """An object that must be refused, and what must be said."""

    document: dict[str, Any]
    says: str


# libyaml where it is there: every worker reads the tables for each test that takes them.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_good() -> dict[str, dict[str, Any]]:
    """``kind name`` -> object."""
    documents = yaml.load_all((OBJECTS / "good.yaml").read_text(encoding="utf-8"), _LOADER)
    return {f"{one['kind']} {one['metadata']['name']}": one for one in documents}


def read_bad() -> dict[str, Refused]:
    """``kind: case`` -> changed object and words."""
    good = read_good()
    cases = {}
    tables = yaml.load((OBJECTS / "bad.yaml").read_text(encoding="utf-8"), _LOADER)
    for base, table in tables.items():
        for name, case in table.items():
            document = copy.deepcopy(good[base])
            for path, value in case["set"].items():
                change(document, path, value)
            cases[f"{base.split()[0]}: {name}"] = Refused(document, case["says"])
    return cases


def change(document: Any, path: str, value: Any) -> None:
    """Set the member at a path such as ``spec.sources[0].name``; None removes it."""
    parts = re.findall(r"[^.\[\]]+", path)
    keys = [int(part) if part.isdigit() else part for part in parts]
    for key in keys[:-1]:
        document = document[key]
    if value is None:
        del document[keys[-1]]
    else:
        document[keys[-1]] = value


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    for name, read, prefix in (
        ("good", read_good, ""),
        ("bad", read_bad, ""),
        ("bad_usage", read_bad, "LicenseUsage"),
    ):
        if name in metafunc.fixturenames:
            cases = {case: value for case, value in read().items() if case.startswith(prefix)}
            metafunc.parametrize(name, cases.values(), ids=cases.keys())


@pytest.fixture(scope="session")
def good_objects() -> dict[str, dict[str, Any]]:
    return read_good()


@pytest.fixture(scope="session")
def bad_objects() -> dict[str, Refused]:
    return read_bad()
