"""Every preset of a list can be recorded and replayed, or says why not."""

from dataclasses import replace
from typing import Any

import pytest

from licenseusage.errors import Stalled
from licenseusage.sources.captures.file import Capture
from licenseusage.sources.captures.taking import record, replay
from licenseusage.sources.definition.model import EffectiveSource
from licenseusage.sources.poll import credentials
from tests.sources.product import ADMIN, SECRET, FixedClock, request
from tests.sources.recorded.shape import ANN, CROWD, Shape, Site
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
