"""Every preset that is polled can be recorded and replayed, or says why not."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from hack.presets.example import example_source
from licenseusage.api.source import Source
from licenseusage.errors import Stalled
from licenseusage.sources.captures.file import Capture
from licenseusage.sources.captures.taking import record, replay
from licenseusage.sources.definition.model import EffectiveSource
from licenseusage.sources.definition.presets import effective, presets
from licenseusage.sources.poll import Credentials, credentials
from tests.sources import test_gauge_presets, test_mediawiki
from tests.sources.product import ADMIN, NOW_MS, SECRET, FixedClock, request
from tests.sources.recorded.shape import ANN, CROWD, Shape, Site
from tests.sources.test_keycloak import HOUR_MS, Keycloak
from tests.sources.test_recorded import SHAPES, by_preset, many

REFUSED = {"Mattermost": "http.items", "Nextcloud": "http.items"}
"""Presets whose list stands at no plain path."""

RECORDED = [shape for shape in SHAPES if shape.preset not in REFUSED]


def asked(serve: Any, shape: Shape, source: EffectiveSource) -> Any:
    secret = {name: SECRET.encode() for name in ("password", "token", "client_secret")}
    secret |= {name: ADMIN.encode() for name in ("username", "client_id")}
    crowd = [*many(shape), *CROWD] if shape.page_size else list(CROWD)
    made = request(serve(Site(shape, crowd)).port, source, closing=True, advise=True)
    return replace(made, credentials=credentials(source.auth, secret, "Secret s"))


@pytest.mark.parametrize("shape", RECORDED, ids=lambda shape: shape.preset)
def test_a_preset_is_replayed_from_its_file_with_the_same_result(serve, shape):
    source = by_preset(shape, users={"excludeIds": [shape.id(ANN)]})
    made = asked(serve, shape, source)
    result, capture = record(made, FixedClock())
    assert isinstance(capture, Capture), capture
    again = replay(made, Capture.of_bytes(capture.to_bytes(), "the file"))
    assert result.failure is None
    assert (again.counted, again.skipped) == (result.counted, result.skipped)
    assert (again.complete, again.provisioned) == (result.complete, result.provisioned)
    assert SECRET not in capture.to_bytes().decode()


@pytest.mark.parametrize("preset", REFUSED)
def test_a_preset_that_cannot_be_recorded_names_the_expression(serve, preset):
    shape = next(shape for shape in SHAPES if shape.preset == preset)
    made = asked(serve, shape, by_preset(shape))
    with pytest.raises(Stalled, match=REFUSED[preset]) as refused:
        record(made, FixedClock())
    assert refused.value.reason == "CaptureNotMade"


def keycloak(serve: Any) -> Any:
    log = Keycloak()
    for number in range(700):
        log.event(NOW_MS - HOUR_MS - number * 60_000, number % 40)
    values = {"client_id": "meter", "client_secret": SECRET}
    source = effective(Source.model_validate(example_source(presets()["Keycloak"])))
    made = request(serve(log.respond).port, source, advise=True)
    return replace(made, credentials=Credentials(values=values))


def mediawiki(serve: Any) -> Any:
    return request(serve(test_mediawiki.wiki).port, test_mediawiki.source(), closing=True)


def gauge(product: test_gauge_presets.Product) -> Callable[[Any], Any]:
    def asked(serve: Any) -> Any:
        port = serve(product.serves(*product.text(7))).port
        made = request(port, test_gauge_presets.by_preset(product))
        return replace(made, credentials=Credentials(header_value=f"token {SECRET}"))

    return asked


OTHERS: dict[str, Callable[[Any], Any]] = {"Keycloak": keycloak, "MediaWiki": mediawiki}
OTHERS |= {product.preset: gauge(product) for product in test_gauge_presets.PRODUCTS}
OF_BROKERS = {"OpenCloudEvents"}  # tests/sources/test_captures_of_brokers.py
PUSHED = {"StandardPush"}  # nobody is asked


@pytest.mark.parametrize("preset", OTHERS)
def test_a_preset_of_another_kind_is_replayed_from_its_file_with_the_same_result(serve, preset):
    made = OTHERS[preset](serve)
    result, capture = record(made, FixedClock())
    assert isinstance(capture, Capture), capture
    again = replay(made, Capture.of_bytes(capture.to_bytes(), "the file"))
    assert result.failure is None
    assert (again.counted, again.users_listed) == (result.counted, result.users_listed)
    assert (again.complete, again.skipped) == (result.complete, result.skipped)
    assert SECRET not in capture.to_bytes().decode()


def test_no_preset_is_left_out():
    lists = {shape.preset for shape in SHAPES}
    assert lists | set(OTHERS) | OF_BROKERS | PUSHED == set(presets())
