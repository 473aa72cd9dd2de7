"""A real product: the operator's number of JupyterHub's users is the truth."""

import time
from collections.abc import Iterator

import pytest

from tests.e2e.conftest import Counting
from tests.e2e.products import jupyterhub
from tests.e2e.products.fixtures import installed
from tests.e2e.products.jupyterhub import JupyterHub
from tests.e2e.reading import SECRET, read

pytestmark = [pytest.mark.controlplane, pytest.mark.products]

EXISTING = [f"user-{number:03d}" for number in range(250)]  # more than JupyterHub's largest page
SIGNED_IN = [EXISTING[0], EXISTING[7], EXISTING[120], EXISTING[249]]  # on the first and last page
CALLED_API = [EXISTING[30], EXISTING[201]]


@pytest.fixture(scope="module")
def hub() -> Iterator[JupyterHub]:
    """A hub with 250 accounts of which six were used."""
    with jupyterhub.running(installed(jupyterhub.INSTALLATION)) as started:
        started.create_users(EXISTING)
        for name in SIGNED_IN:
            started.sign_in(name)
        for name in CALLED_API:
            started.call_api_as(name)
        yield started


def test_its_own_number_is_that_of_the_people_who_used_it(hub: JupyterHub) -> None:
    source = {
        "preset": "JupyterHubGauge",
        "auth": {"header": {"secretRef": {"name": SECRET, "key": "token"}}},
    }
    used_it = len(SIGNED_IN) + len(CALLED_API)
    deadline = time.monotonic() + 60
    while (result := read(source, hub.port, {"token": hub.gauge_token})).counted < used_it:
        assert result.failure is None
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert (result.failure, result.counted) == (None, used_it)
    refused = read(source, hub.port, {"token": hub.meter_token})
    assert refused.failure is not None
    assert refused.failure.reason == "AccessDenied"


def test_the_number_is_the_people_who_used_the_hub(hub: JupyterHub, counting: Counting) -> None:
    source = {
        "preset": "JupyterHub",
        "auth": {"header": {"secretRef": {"name": SECRET, "key": "token"}}},
    }
    counted = counting(source, hub.port, {"token": hub.meter_token})

    status = counted.status()
    assert status["activeUsers"] == len(SIGNED_IN) + len(CALLED_API)
    assert status["activeText"] == "6 so far"
    assert status["provisionedUsers"] == len(EXISTING)
    (source_status,) = status["sources"]
    assert source_status["usersListed"] == len(EXISTING)
    assert {"reason": "NeverActive", "count": 244} in source_status["skipped"]
    counted.await_condition("Ready")

    # Whoever comes back is counted once, whoever is new is added: 6 become 7. The meter is nobody.
    hub.sign_in(SIGNED_IN[0])
    hub.sign_in(EXISTING[55])
    counted.collect_now()
    assert counted.await_status(lambda s: s["activeUsers"] != 6)["activeUsers"] == 7

    # An account that is removed was used all the same: counted until the cycle's end.
    hub.api("DELETE", f"/users/{EXISTING[55]}")
    counted.collect_now()
    removed = counted.await_status(lambda s: s["provisionedUsers"] != len(EXISTING))
    assert (removed["activeUsers"], removed["provisionedUsers"]) == (7, len(EXISTING) - 1)
