"""What end-to-end tests share: the operator as a process, and an object that it counts."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from hack.controlplane import ControlPlane
from hack.demo.children import Children
from hack.demo.stage import LICENSEUSAGE
from tests.e2e.counted import Counted


@pytest.fixture
def children(tmp_path: Path) -> Iterator[Children]:
    """Processes that end with the test; their logs are in ``tmp_path``."""
    with Children(tmp_path) as started:
        yield started


@pytest.fixture
def operator(
    crds: ControlPlane, namespace: str, children: Children, tmp_path: Path
) -> Callable[[], None]:
    """Starts the real operator for this test's namespace, with pods on loopback permitted."""

    def start() -> None:
        environment = crds.environment() | {
            "LICENSEUSAGE_DEV": "1",
            "LICENSEUSAGE_NAMESPACES": namespace,
            "LICENSEUSAGE_OPERATOR_NAMESPACE": namespace,
            "LICENSEUSAGE_DATABASE_URL": f"sqlite:///{tmp_path / 'ledger.sqlite'}",
            "LICENSEUSAGE_HTTP_ADDRESS": "127.0.0.1:0",
        }
        children.start("operator", [LICENSEUSAGE, "operator"], environment)

    return start


Counting: TypeAlias = Callable[[Mapping[str, Any], int, Mapping[str, str]], Counted]
"""Source, port of the product, values of the Secret."""


@pytest.fixture
def counting(
    crds: ControlPlane, namespace: str, operator: Callable[[], None], children: Children
) -> Counting:
    """Makes a LicenseUsage of a source, starts the operator and waits for its first number."""

    def count(source: Mapping[str, Any], port: int, secret: Mapping[str, str]) -> Counted:
        counted = Counted(crds, namespace, children)
        counted.create(source, port, secret)
        operator()
        counted.await_status(lambda status: "activeUsers" in status)
        return counted

    return count
