"""Every preset reads its product's answers as they are: who counts, who does not, and all lies.

The products are in ``recorded/``; a preset is read as a user would use it (``hack.presets``).
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hack.presets.example import example_source
from licenseusage.api.source import Source
from licenseusage.errors import Stalled
from licenseusage.metering.bounds import Accuracy
from licenseusage.metering.cycles import CYCLE_MASK
from licenseusage.sources.definition.attainable import attainable
from licenseusage.sources.definition.effective import merged
from licenseusage.sources.definition.model import EffectiveSource
from licenseusage.sources.definition.presets import effective, presets
from licenseusage.sources.poll import PollResult, credentials
from tests.sources.product import ADMIN, CYCLE, NOW, SECRET, FixedClock, answer, poll
from tests.sources.recorded import desks, first, forges, hubs
from tests.sources.recorded.shape import (
    ANN,
    BOT,
    CROWD,
    NEVER,
    NEW,
    Page,
    Shape,
    Site,
    Someone,
)

SHAPES = (*first.SHAPES, *forges.SHAPES, *desks.SHAPES, *hubs.SHAPES)
PAGED = [shape for shape in SHAPES if shape.page_size]
AS_LISTS = [shape for shape in SHAPES if shape.preset != "Nextcloud"]  # an object by id
every_shape = pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.preset)
every_paged_shape = pytest.mark.parametrize("shape", PAGED, ids=lambda shape: shape.preset)


def by_preset(shape: Shape, **more: Any) -> EffectiveSource:
    """The source of a user of this preset, who has given what the preset leaves open."""
    given = example_source(presets()[shape.preset])
    given["pods"] |= {"scheme": "HTTP", "port": 80}
    return effective(Source.model_validate(merged(merged(given, shape.fields), more)))


def read(serve: Any, site: Any, source: EffectiveSource, **more: Any) -> PollResult:
    """One closing poll of it, with the Secret that the preset asks for."""
    secret = {name: SECRET.encode() for name in ("password", "token", "client_secret")}
    secret |= {name: ADMIN.encode() for name in ("username", "client_id")}
    given = credentials(source.auth, secret, "Secret s")
    port = serve(site).port
    return poll(port, source, credentials=given, closing=True, show_ids=True, **more)


def ids(shape: Shape, people: Any) -> list[str]:
    return sorted(map(shape.id, people))


def test_every_preset_of_a_list_with_times_is_read_here():
    lists = {
        name
        for name, preset in presets().items()
        if "http" in preset.source and not {"events", "window"} & preset.source.keys()
    }
    assert {shape.preset for shape in SHAPES} == lists


@every_shape
def test_those_count_who_were_active_within_the_cycle(serve, shape):
    result = read(serve, Site(shape), by_preset(shape))
    assert result.failure is None
    assert sorted(result.ids) == ids(shape, shape.counted)
    assert result.counted == len(shape.counted)


@every_shape
def test_a_list_that_was_read_to_its_end_is_complete(serve, shape):
    result = read(serve, Site(shape), by_preset(shape))
    assert result.complete, result.incomplete
    assert not [note for note in result.notes if "exclude matched" in note]


@every_shape
def test_who_was_never_active_or_only_created_does_not_count(serve, shape):
    result = read(serve, Site(shape, [shape.counted[0], NEVER, NEW]), by_preset(shape))
    assert list(result.ids) == ids(shape, shape.counted[:1])


@every_shape
def test_programs_do_not_count(serve, shape):
    result = read(serve, Site(shape, [shape.counted[0], BOT]), by_preset(shape))
    assert list(result.ids) == ids(shape, shape.counted[:1])


@every_shape
def test_the_operators_own_account_does_not_count_once_it_is_excluded(serve, shape):
    own = shape.counted[1]
    source = by_preset(shape, users={"excludeIds": [shape.id(own)]})
    result = read(serve, Site(shape), source)
    assert sorted(result.ids) == ids(shape, set(shape.counted) - {own})


def many(shape: Shape) -> list[Someone]:
    """So many that three pages are needed, by the size that the preset asks for."""
    return [replace(ANN, number=1000 + place) for place in range(2 * shape.page_size)]


@every_paged_shape
def test_people_on_all_pages_count(serve, shape):
    crowd = [*many(shape), *CROWD]
    site = Site(shape, crowd)
    result = read(serve, site, by_preset(shape))
    assert result.complete, result.incomplete
    assert site.pages >= 3
    assert result.counted == len(crowd) - len(CROWD) + len(shape.counted)


@every_paged_shape
def test_a_first_page_that_comes_again_and_again_is_noticed(serve, shape):
    again = replace(shape, span=lambda *asked: (0, (shape.span(*asked) or (0, 0))[1]))
    result = read(serve, Site(again, [*many(shape), *CROWD]), by_preset(shape))
    assert not result.complete
    assert result.failure is not None
    assert result.failure.reason in ("PagingIgnored", "PagingLoop", "OrderViolated")


@pytest.mark.parametrize("shape", AS_LISTS, ids=lambda shape: shape.preset)
def test_a_row_in_anothers_place_leaves_at_least(serve, shape):
    def told(page: Page) -> Page:
        return replace(page, rows=[*page.rows[:1], *page.rows[:-1]])

    result = read(serve, Site(shape, told=told), by_preset(shape))
    assert not result.complete
    why = result.incomplete or result.failure
    assert why is not None
    by_key = shape.sorts is not None
    assert why.reason == ("OrderViolated" if by_key else "RowsRepeated")


@every_shape
def test_a_time_in_the_future_counts_nobody(serve, shape):
    ahead = Someone(9, NOW + timedelta(days=2))
    result = read(serve, Site(shape, [*CROWD, ahead]), by_preset(shape))
    assert result.failure is not None
    assert result.failure.reason == "StampInFuture"
    assert result.counted == 0


@every_shape
def test_a_list_in_which_nobody_was_ever_active_is_unknown_and_not_zero(serve, shape):
    source = by_preset(shape)
    result = read(serve, Site(shape, [NEVER, NEW]), source)
    assert result.counted == 0
    if shape.marks_never:
        assert result.incomplete is not None
        assert result.incomplete.reason == "NobodyStamped"


@every_shape
@pytest.mark.parametrize(
    ("turned_away", "reasons"),
    [
        (answer(b"<!doctype html><form>", headers={"Content-Type": "text/html"}), "AnswerNotJSON"),
        (answer({"message": "bad token"}, "401 Unauthorized"), "Unauthorized"),
        (answer({"message": "admins only"}, "403 Forbidden"), "AccessDenied"),
        (answer(b"", "302 Found", headers={"Location": "/login"}), "Redirected"),
        (answer(b"", "204 No Content"), "AnswerNotJSON AnswerEmpty AnswerInvalidJSON"),
    ],
)
def test_who_is_turned_away_gets_a_reason_and_no_number(serve, shape, turned_away, reasons):
    result = read(serve, turned_away, by_preset(shape))
    assert result.failure is not None
    assert result.failure.reason in {*reasons.split(), "SignInRefused", "SignInUnusable"}
    assert (result.counted, result.complete) == (0, False)


def test_a_list_that_can_lose_activity_bounds_nothing_from_above():
    source = by_preset(first.SYNAPSE)
    assert not source.properties.keeps_users
    assert not source.properties.keeps_roster


BEST = {
    "Authentik": (Accuracy.EXACT, "twice"),
    "BitbucketDataCenter": (Accuracy.EXACT, "twice"),
    "Coder": (Accuracy.EXACT, "1 hour"),
    "Forgejo": (Accuracy.EXACT, "twice"),
    "GitLab": (Accuracy.EXACT, "twice"),
    "Gitea": (Accuracy.EXACT, "twice"),
    "Grafana": (Accuracy.EXACT, "twice"),
    "JupyterHub": (Accuracy.EXACT, "30 seconds"),
    "LabelStudio": (Accuracy.EXACT, ""),
    "Mattermost": (Accuracy.EXACT, "twice"),
    "Metabase": (Accuracy.EXACT, "also after an outage"),
    "Nextcloud": (Accuracy.EXACT, "1 minute"),
    "OpenCloud": (Accuracy.EXACT, "nobody left the list"),
    "SCIM": (Accuracy.LOWER_BOUND, "proves nobody inactive"),
    "Sentry": (Accuracy.EXACT, "twice"),
    "SonarQube": (Accuracy.EXACT, "twice"),
    "Standard": (Accuracy.EXACT, "also after an outage"),
    "Superset": (Accuracy.EXACT, "twice"),
    "Synapse": (Accuracy.LOWER_BOUND, "proves nobody inactive"),
    "Unleash": (Accuracy.EXACT, ""),
    "Vaultwarden": (Accuracy.LOWER_BOUND, "proves nobody inactive"),
}
"""The best class of a final, and what the reader is told beside the usual."""


@every_shape
def test_the_best_class_follows_from_the_declared_properties(shape):
    best, told = BEST[shape.preset]
    reached = attainable(by_preset(shape))
    words = " ".join(reached.words)
    assert reached.best is best
    assert told in words
    assert ("twice" in words) is (told == "twice")


@pytest.mark.parametrize("seconds_before", [1, 29])
def test_who_was_active_right_before_the_cycle_of_jupyterhub_may_have_been_active_in_it(
    serve, seconds_before
):
    """The hub does not record an activity within 30 seconds after a recorded one."""
    start = datetime.fromtimestamp(CYCLE.start_ms / 1000, UTC)
    late = Someone(9, start - timedelta(seconds=seconds_before))
    after_end = {"Date": "Tue, 01 Dec 2026 00:10:00 GMT"}
    hub = replace(hubs.JUPYTERHUB, headers=lambda _page, _asked: after_end)
    clock = FixedClock(CYCLE.end_ms + 600_000)
    source = by_preset(hub, guarantees={"removal": "Never"})  # so that who may have been is told
    result = read(serve, Site(hub, [ANN, late]), source, clock=clock)
    facts = result.facts[CYCLE.index]
    in_cycle = [sum(bool(w & CYCLE_MASK) for w in f.values()) for f in (facts.sure, facts.maybe)]
    assert in_cycle == [1, 1]


def test_both_presets_of_jupyterhub_declare_what_the_hub_does_not_record():
    for name in ("JupyterHub", "JupyterHubGauge"):
        assert presets()[name].source["guarantees"]["hiddenSeconds"] == 30


def test_what_the_gitea_preset_calls_never_is_not_1970():
    assert first.GITEA.row(NEVER)["last_login"].startswith("1970")


def test_without_its_query_synapse_hides_who_was_deactivated(serve):
    source = by_preset(first.SYNAPSE, http={"query": [{"name": "guests", "value": "false"}]})
    result = read(serve, Site(first.SYNAPSE), source)
    assert result.counted == len(first.SYNAPSE.counted) - 1


def test_a_legacy_token_of_label_studio_replaces_the_login():
    source = by_preset(
        first.LABEL_STUDIO,
        auth={"header": {"prefix": "Token ", "secretRef": {"name": "s", "key": "token"}}},
    )
    assert source.auth is not None
    assert type(source.auth).__name__ == "HeaderAuth"


def test_a_login_elsewhere_is_refused_though_the_preset_has_one():
    with pytest.raises(Stalled, match=r"auth\.login\.path"):
        by_preset(first.SUPERSET, auth={"login": {"path": "/api/v1/security/roles"}})
