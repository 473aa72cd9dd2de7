"""Presets of a product's own number: read as the product writes it, and never more than it is."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from hack.presets.example import example_source
from licenseusage.api.source import Source
from licenseusage.metering.bounds import Accuracy
from licenseusage.metering.counts import tally_counts
from licenseusage.metering.known import WindowCounts
from licenseusage.sources.definition.attainable import attainable
from licenseusage.sources.definition.effective import merged
from licenseusage.sources.definition.model import EffectiveSource
from licenseusage.sources.definition.presets import effective, presets
from licenseusage.sources.poll import Credentials, PollResult, Target
from tests.sources.product import (
    CYCLE,
    DATE,
    NOW_MS,
    SECRET,
    Answer,
    FixedClock,
    Request,
    answer,
    poll,
)

ABOUT_OTHERS = (
    "# HELP process_start_time_seconds Start time of the process.",
    "# TYPE process_start_time_seconds gauge",
    "process_start_time_seconds 1.76e+09",
)


@dataclass(frozen=True, slots=True)
class Product:
    """What a product writes among its metrics.

    Attributes:
        path: Where they are.
        text: Its lines about active users, given the number.
        off: The same where it does not count.
        wanted: The header Authorization that it wants; None: none.
    """

    preset: str
    path: str
    text: Callable[[int], tuple[str, ...]]
    off: tuple[str, ...]
    wanted: str | None = None

    def serves(self, *lines: str, date: str = DATE) -> Callable[[Request], Answer]:
        """The product, as long as it writes these lines."""
        text = "".join(f"{line}\n" for line in (*ABOUT_OTHERS, *lines)).encode()
        headers = {"Date": date, "Content-Type": "text/plain; version=0.0.4; charset=utf-8"}

        def respond(asked: Request) -> Answer:
            if asked.path != self.path:
                return answer({"message": "nothing here"}, "404 Not Found")
            if self.wanted is not None and asked.headers.get("authorization") != self.wanted:
                return answer({"message": "who are you?"}, "403 Forbidden")
            return answer(text, headers=dict(headers))

        return respond


# synapse/app/phone_stats_home.py; the number has a label with the server's name since 1.136
SYNAPSE = Product(
    "SynapseGauge",
    "/_synapse/metrics",
    lambda users: (
        "# HELP synapse_admin_mau_current Current MAU",
        "# TYPE synapse_admin_mau_current gauge",
        f'synapse_admin_mau_current{{server_name="chat.example.org"}} {users}.0',
        "# HELP synapse_admin_mau_current_mau_by_service Current MAU by service",
        "# TYPE synapse_admin_mau_current_mau_by_service gauge",
        'synapse_admin_mau_current_mau_by_service{app_service="native",'
        f'server_name="chat.example.org"}} {users + 9}.0',
        "# HELP synapse_admin_mau_max MAU Limit",
        "# TYPE synapse_admin_mau_max gauge",
        'synapse_admin_mau_max{server_name="chat.example.org"} 0.0',
    ),
    (
        "# HELP synapse_admin_mau_current Current MAU",
        "# TYPE synapse_admin_mau_current gauge",
    ),
)

# jupyterhub/metrics.py
JUPYTERHUB = Product(
    "JupyterHubGauge",
    "/hub/metrics",
    lambda users: (
        "# HELP jupyterhub_total_users Total number of users",
        "# TYPE jupyterhub_total_users gauge",
        "jupyterhub_total_users 250.0",
        "# HELP jupyterhub_active_users Number of users who were active in the given time period",
        "# TYPE jupyterhub_active_users gauge",
        'jupyterhub_active_users{period="24h"} 1.0',
        'jupyterhub_active_users{period="7d"} 3.0',
        f'jupyterhub_active_users{{period="30d"}} {users}.0',
    ),
    (
        "# HELP jupyterhub_active_users Number of users who were active in the given time period",
        "# TYPE jupyterhub_active_users gauge",
    ),
    wanted=f"token {SECRET}",
)

# pkg/infra/metrics/metrics.go; pkg/infra/usagestats/statscollector/service.go
GRAFANA = Product(
    "GrafanaGauge",
    "/metrics",
    lambda users: (
        "# HELP grafana_stat_active_users number of active users",
        "# TYPE grafana_stat_active_users gauge",
        f"grafana_stat_active_users {users}",
        "# HELP grafana_stat_total_users total amount of users",
        "# TYPE grafana_stat_total_users gauge",
        "grafana_stat_total_users 412",
    ),
    (
        "# HELP grafana_build_info A metric",
        "# TYPE grafana_build_info gauge",
        "grafana_build_info 1",
    ),
)

PRODUCTS = (SYNAPSE, JUPYTERHUB, GRAFANA)
every_product = pytest.mark.parametrize("product", PRODUCTS, ids=lambda one: one.preset)


def by_preset(product: Product, **more: Any) -> EffectiveSource:
    given = example_source(presets()[product.preset])
    given["pods"] |= {"scheme": "HTTP", "port": 80}
    return effective(Source.model_validate(merged(given, more)))


def read(serve: Any, site: Any, source: EffectiveSource, **more: Any) -> PollResult:
    token = Credentials(header_value=f"token {SECRET}")
    return poll(serve(site).port, source, credentials=token, **more)


def at_the_end(serve: Any, product: Product, users: int) -> WindowCounts:
    """What one reading right after the cycle's end proves of the cycle."""
    site = product.serves(*product.text(users), date="Tue, 01 Dec 2026 00:02:00 GMT")
    source = by_preset(product)
    result = read(serve, site, source, clock=FixedClock(CYCLE.end_ms + 120_000))
    assert result.failure is None
    return tally_counts(result.samples[CYCLE.index], source.count_terms, CYCLE)


def test_every_preset_of_a_gauge_is_read_here() -> None:
    gauges = {name for name, one in presets().items() if "prometheus" in one.source}
    assert {product.preset for product in PRODUCTS} == gauges


@every_product
def test_the_number_of_the_last_30_days_is_read_and_no_other(serve: Any, product: Product) -> None:
    result = read(serve, product.serves(*product.text(7)), by_preset(product))
    assert (result.failure, result.complete, result.counted) == (None, True, 7)
    assert (result.users_listed, result.provisioned, result.ids) == (0, None, ())


@every_product
def test_a_product_that_does_not_count_gives_no_number(serve: Any, product: Product) -> None:
    result = read(serve, product.serves(*product.off), by_preset(product))
    assert result.failure is not None
    assert result.failure.reason == "MetricNotFound"


@every_product
def test_a_zero_of_a_product_that_may_have_just_started_is_no_number(
    serve: Any, product: Product
) -> None:
    result = read(serve, product.serves(*product.text(0)), by_preset(product))
    assert result.failure is not None
    assert result.failure.reason == "ZeroUnproved"


@every_product
def test_programs_are_taken_off_whatever_is_proved(serve: Any, product: Product) -> None:
    """A number names nobody: how many of them are programs is what only the user can say."""
    week = {"type": "Rolling", "days": 7}  # of a product that counts a week, within the cycle
    source = by_preset(product, window=week, count={"ownAccounts": 3})
    result = read(serve, product.serves(*product.text(7)), source)
    found = tally_counts(result.samples[CYCLE.index], source.count_terms, CYCLE)
    assert (result.counted, found.lower) == (7, 4)


WRONG_NUMBERS = {
    "NaN": ("NaN", "CountInvalid"),
    "less than nobody": ("-1", "CountInvalid"),
    "half a person": ("7.5", "CountInvalid"),
}


@every_product
@pytest.mark.parametrize(("value", "reason"), WRONG_NUMBERS.values(), ids=WRONG_NUMBERS)
def test_a_number_that_is_none_is_refused(
    serve: Any, product: Product, value: str, reason: str
) -> None:
    lines = [line.replace(" 777.0", f" {value}") for line in product.text(777)]
    lines = [line.replace(" 777", f" {value}") for line in lines]
    result = read(serve, product.serves(*lines), by_preset(product))
    assert result.failure is not None
    assert (result.failure.reason, result.counted) == (reason, 0)


@every_product
def test_a_counter_in_place_of_the_gauge_is_refused(serve: Any, product: Product) -> None:
    lines = [line.replace(" gauge", " counter") for line in product.text(7)]
    result = read(serve, product.serves(*lines), by_preset(product))
    assert result.failure is not None
    assert result.failure.reason == "MetricNotAGauge"


@every_product
def test_at_the_end_of_a_cycle_of_30_days_it_is_an_estimate_and_proves_nobody(
    serve: Any, product: Product
) -> None:
    found = at_the_end(serve, product, 7)
    assert (found.lower, found.upper, found.estimate) == (0, None, 7)
    assert attainable(by_preset(product)).best is Accuracy.ESTIMATE


@every_product
def test_in_the_middle_of_a_cycle_it_says_nothing_of_it(serve: Any, product: Product) -> None:
    source = by_preset(product)
    result = read(serve, product.serves(*product.text(7)), source)
    found = tally_counts(result.samples[CYCLE.index], source.count_terms, CYCLE)
    assert (found.lower, found.upper, found.estimate) == (0, None, None)


def test_jupyterhubs_number_needs_the_token_of_a_service(serve: Any) -> None:
    site = JUPYTERHUB.serves(*JUPYTERHUB.text(7))
    other = Credentials(header_value="token another")
    result = poll(serve(site).port, by_preset(JUPYTERHUB), credentials=other)
    assert result.failure is not None
    assert result.failure.reason == "AccessDenied"


def test_a_limit_of_synapse_is_told_once_it_is_reached(serve: Any) -> None:
    source = by_preset(SYNAPSE, count={"saturatesAt": 7})
    result = read(serve, SYNAPSE.serves(*SYNAPSE.text(7)), source)
    assert any("CountSaturated" in note for note in result.notes)


def test_a_pod_of_grafana_that_has_just_started_is_not_asked(serve: Any) -> None:
    port = serve(GRAFANA.serves(*GRAFANA.text(0))).port
    fresh = Target("127.0.0.1", port, label="pod-0", ready_ms=NOW_MS - 30 * 60_000)
    result = poll(port, by_preset(GRAFANA), targets=(fresh,))
    assert result.failure is not None
    assert result.failure.reason == "PodsWarmingUp"
