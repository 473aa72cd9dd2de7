"""A number of users is read from an answer or from metrics, and is a sample of it (kind C)."""

from dataclasses import replace

import pytest

from licenseusage.errors import Stalled
from licenseusage.metering.counts import Sample
from licenseusage.metering.cycles import DAY_MS
from licenseusage.reasons import Reason
from licenseusage.sources.poll import CycleRequest, PollResult
from tests.sources.numbers import TYPE, gauge, metrics, open_metrics, stated
from tests.sources.product import CYCLE, NOW_MS, answer, poll, request, source, targets

HOUR_MS = 3_600_000
K_MS = 5_000
OF_CYCLE = {
    "http": {"query": [{"name": "from", "value": "{{cycle.start}}"},
                       {"name": "to", "value": "{{cycle.end}}"}]},
    "window": {"type": "Cycle", "days": None},
}  # fmt: skip


def only(result: PollResult) -> Sample:
    """The one sample of a poll's only cycle."""
    assert result.failure is None, result.failure
    (sample,) = result.samples[CYCLE.index].samples
    return sample


def ready(*products, since_ms=NOW_MS - DAY_MS):
    """Pods that have been ready since then."""
    return tuple(replace(each, ready_ms=since_ms) for each in targets(*products))


class TestWhatIsRead:
    def test_a_gauge_of_prometheus_text(self, serve):
        product = serve(metrics("# HELP users_active People.", TYPE.strip(), "users_active 412"))
        result = poll(product.port, gauge())
        assert (only(result).users, result.counted, result.complete) == (412, 412, True)
        assert product.requests[0].path == "/metrics"
        assert product.requests[0].headers["accept"].startswith("application/openmetrics-text")

    def test_a_gauge_of_open_metrics(self, serve):
        product = serve(open_metrics(TYPE.strip(), "users_active 412"))
        assert only(poll(product.port, gauge())).users == 412

    def test_open_metrics_of_untold_length_end_with_their_end(self, serve):
        head = b"HTTP/1.1 200 OK\r\n\r\n"
        product = serve(lambda _: [head + b"users_active 412\n# EOF"])
        assert only(poll(product.port, gauge())).users == 412

    @pytest.mark.parametrize("written", ["412", "4.12e+02", "412.0", "412 1795176000000"])
    def test_a_number_however_it_is_written(self, serve, written):
        assert only(poll(serve(metrics(f"users_active {written}")).port, gauge())).users == 412

    def test_the_series_that_has_the_labels(self, serve):
        product = serve(
            metrics('users_active{period="7d"} 99', 'users_active{x="",period="30d"} 412')
        )
        wanted = {"matchLabels": {"period": "30d"}}
        assert only(poll(product.port, gauge(prometheus=wanted))).users == 412

    @pytest.mark.parametrize(("reduce", "users"), [("Max", 7), ("Sum", 12)])
    def test_several_series_as_is_declared(self, serve, reduce, users):
        product = serve(metrics('users_active{pod="a"} 5', 'users_active{pod="b"} 7'))
        assert only(poll(product.port, gauge(prometheus={"reduce": reduce}))).users == users

    @pytest.mark.parametrize("body", [{"active": {"users": 412}}, {"active": {"users": "412"}}])
    def test_a_number_in_json(self, serve, body):
        assert only(poll(serve(answer(body)).port, stated())).users == 412

    def test_a_number_beside_broken_texts(self, serve):
        body = b'{"motto": "\xff\\ud83d", "active": {"users": 412}}'
        assert only(poll(serve(answer(body)).port, stated())).users == 412

    def test_a_member_that_is_twice_elsewhere_says_nothing_of_the_number(self, serve):
        body = b'{"a": 1, "a": 2, "active": {"users": 412}}'
        assert only(poll(serve(answer(body)).port, stated())).users == 412

    def test_no_body_and_no_number_is_quoted(self, serve):
        result = poll(serve(answer({"active": {"users": "leaky"}})).port, stated())
        assert result.failure is not None
        assert "leaky" not in result.failure.message
        assert "count.value" in result.failure.message


class TestWhenItIs:
    def test_a_sample_knows_its_window_as_far_as_age_clock_and_poll_allow(self, serve):
        read = gauge(guarantees={"ageSeconds": 3600, "lagSeconds": 60})
        sample = only(poll(serve(metrics("users_active 412")).port, read))
        month = 30 * DAY_MS
        assert sample.computed_ms == NOW_MS - K_MS - HOUR_MS
        assert sample.read_ms == NOW_MS + K_MS
        assert (sample.first_ms, sample.last_ms) == (sample.computed_ms - month + 1, sample.read_ms)

    def test_a_number_is_asked_for_each_cycle_where_the_request_names_the_cycle(self, serve):
        before = replace(
            CYCLE, index=4, start_ms=CYCLE.start_ms - 30 * DAY_MS, end_ms=CYCLE.start_ms
        )
        product = serve(
            lambda asked: answer(
                {"active": {"users": 7 if "2026-10" in asked.param("from") else 5}}
            )
        )
        cycles = (CycleRequest(before), CycleRequest(CYCLE))
        result = poll(product.port, stated(**OF_CYCLE), cycles=cycles)
        assert len(product.requests) == 2
        assert [next(iter(result.samples[i].samples)).users for i in (4, 5)] == [7, 5]
        (past,) = result.samples[4].samples
        assert (past.covers_from_ms, past.covers_until_ms) == (
            before.start_ms,
            before.end_ms,
        )

    def test_other_numbers_are_asked_for_once_and_are_a_sample_of_every_cycle(self, serve):
        product = serve(metrics("users_active 412"))
        before = replace(
            CYCLE, index=4, start_ms=CYCLE.start_ms - 30 * DAY_MS, end_ms=CYCLE.start_ms
        )
        cycles = (CycleRequest(before), CycleRequest(CYCLE))
        result = poll(product.port, gauge(), cycles=cycles)
        assert len(product.requests) == 1
        assert result.samples[4] == result.samples[5]

    def test_a_cycle_has_been_read_once_its_activity_must_be_counted(self, serve):
        product = serve(metrics("users_active 412"))
        late = replace(CYCLE, start_ms=CYCLE.start_ms - 30 * DAY_MS, end_ms=NOW_MS - HOUR_MS)
        for age_s, ended in ((3500, True), (3600, False)):
            read = gauge(guarantees={"ageSeconds": age_s, "lagSeconds": 0})
            result = poll(product.port, read, cycles=(CycleRequest(late),))
            assert bool(result.facts[late.index].ended >> 62 & 1) is ended


class TestPods:
    def test_a_pod_that_has_just_become_ready_is_not_asked(self, serve):
        fresh, old = serve(metrics("users_active 0")), serve(metrics("users_active 412"))
        asked = ready(fresh, since_ms=NOW_MS - 299_000) + ready(old)
        assert only(poll(0, gauge(), targets=asked)).users == 412
        assert not fresh.requests

    def test_where_all_have_just_become_ready_there_is_no_number(self, serve):
        fresh = serve(metrics("users_active 0"))
        result = poll(0, gauge(), targets=ready(fresh, since_ms=NOW_MS - 299_000))
        assert result.failure is not None
        assert (result.failure.reason, result.samples) == (Reason.PODS_WARMING_UP, {})
        assert not fresh.requests

    def test_how_long_that_is_can_be_declared(self, serve):
        fresh = serve(metrics("users_active 412"))
        asked = ready(fresh, since_ms=NOW_MS - 10_000 - K_MS)
        assert only(poll(0, gauge(count={"warmupSeconds": 10}), targets=asked)).users == 412

    def test_a_pod_is_warm_only_if_it_is_whichever_clock_is_right(self, serve):
        fresh = serve(metrics("users_active 3"))
        asked = ready(fresh, since_ms=NOW_MS - 300_000 - K_MS + 1)
        result = poll(0, gauge(guarantees={"completeness": "Complete"}), targets=asked)
        assert result.failure is not None
        assert (result.failure.reason, result.samples) == (Reason.PODS_WARMING_UP, {})

    def test_without_it_pods_are_asked_whatever_the_clocks_say(self, serve):
        ahead = ready(serve(metrics("users_active 412")), since_ms=NOW_MS + 1000)
        assert only(poll(0, gauge(count={"warmupSeconds": 0}), targets=ahead)).users == 412

    def test_a_zero_is_believed_of_a_pod_that_has_been_running_for_long(self, serve):
        assert only(poll(0, gauge(), targets=ready(serve(metrics("users_active 0"))))).users == 0

    def test_a_zero_of_whom_nobody_knows_how_long_it_runs_is_none(self, serve):
        result = poll(serve(metrics("users_active 0")).port, gauge())
        assert result.failure is not None
        assert (result.failure.reason, result.samples) == (Reason.ZERO_UNPROVED, {})

    def test_only_a_complete_number_of_a_warm_pod_can_be_an_upper_bound(self, serve):
        product = serve(metrics("users_active 412"))
        whole = gauge(guarantees={"completeness": "Complete"})
        assert only(poll(0, whole, targets=ready(product))).full
        assert not only(poll(0, gauge(), targets=ready(product))).full
        assert not only(poll(product.port, whole)).full

    def test_any_pod_answers_for_all_and_the_next_one_where_the_first_has_no_number(self, serve):
        without, with_ = serve(metrics("up 1")), serve(metrics("users_active 412"))
        result = poll(0, gauge(), targets=ready(without, with_, serve(metrics("users_active 9"))))
        assert only(result).users == 412
        assert "pod-0 (MetricNotFound)" in result.notes[0]

    def test_all_pods_are_asked_where_they_state_the_same(self, serve):
        alike = [serve(metrics("users_active 412")) for _ in range(3)]
        read = gauge(count={"acrossPods": "Same"}, guarantees={"completeness": "Complete"})
        samples = poll(0, read, targets=ready(*alike)).samples[CYCLE.index].samples
        assert all(each.users == 412 and each.full for each in samples)
        assert all(len(each.requests) == 1 for each in alike)

    def test_pods_that_disagree_count_people_and_bound_nothing(self, serve):
        pods = ready(serve(metrics("users_active 412")), serve(metrics("users_active 409")))
        read = gauge(count={"acrossPods": "Same"}, guarantees={"completeness": "Complete"})
        result = poll(0, read, targets=pods)
        samples = result.samples[CYCLE.index].samples
        assert {(each.users, each.full) for each in samples} == {(412, False), (409, False)}
        assert "PodsDisagree" in result.notes[0]

    def test_a_pod_that_fails_among_those_that_state_the_same_fails_the_poll(self, serve):
        pods = ready(serve(metrics("users_active 412")), serve(metrics("up 1")))
        result = poll(0, gauge(count={"acrossPods": "Same"}), targets=pods)
        assert result.failure is not None
        assert (result.failure.reason, result.samples) == (Reason.METRIC_NOT_FOUND, {})

    def test_the_parts_of_shards_are_added(self, serve):
        pods = ready(serve(metrics("users_active 5")), serve(metrics("users_active 7")))
        read = gauge(count={"acrossPods": "Shards", "shards": 2})
        assert only(poll(0, read, targets=pods)).users == 12

    @pytest.mark.parametrize("parts", [1, 3])
    def test_a_sum_of_more_or_fewer_shards_than_there_are_is_no_number(self, serve, parts):
        pods = ready(*(serve(metrics("users_active 5")) for _ in range(parts)))
        read = gauge(count={"acrossPods": "Shards", "shards": 2})
        result = poll(0, read, targets=pods)
        assert result.failure is not None
        assert (result.failure.reason, result.samples) == (Reason.SHARDS_MISSING, {})

    def test_a_shard_that_has_just_become_ready_is_missing(self, serve):
        first, second = serve(metrics("users_active 5")), serve(metrics("users_active 7"))
        pods = ready(first) + ready(second, since_ms=NOW_MS - 1000)
        result = poll(0, gauge(count={"acrossPods": "Shards", "shards": 2}), targets=pods)
        assert result.failure is not None
        assert result.failure.reason == Reason.PODS_WARMING_UP


class TestWhatItIsWorth:
    def test_a_number_at_its_cap_bounds_nothing_and_is_said_to_be_there(self, serve):
        read = gauge(count={"saturatesAt": 412}, guarantees={"completeness": "Complete"})
        result = poll(0, read, targets=ready(serve(metrics("users_active 412"))))
        sample = only(result)
        assert (sample.saturated, sample.full) == (True, False)
        assert "CountSaturated" in result.notes[0]

    def test_an_estimate_is_one(self, serve):
        read = stated(count={"precision": "Estimated"}, guarantees={"completeness": "Complete"})
        sample = only(poll(0, read, targets=ready(serve(answer({"active": {"users": 412}})))))
        assert (sample.estimated, sample.full) == (True, False)

    def test_own_accounts_are_kept_with_the_number(self, serve):
        read = gauge(count={"ownAccounts": 2})
        assert only(poll(serve(metrics("users_active 412")).port, read)).own == 2


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"window": None}, "window is missing"),
        ({"window": {"type": "Rolling", "days": None}}, "window.days is missing"),
        ({"window": {"type": "CalendarMonthToDate"}}, "belong to type Rolling"),
        ({"window": {"type": "Cycle", "days": None}}, "does not name the cycle"),
        ({"count": {"value": None}}, "count.value is missing"),
        ({"count": {"value": "a b"}}, "count.value"),
        ({"count": {"shards": 2}}, "go together"),
        ({"http": {"items": "a"}}, "http.items is about lists"),
        ({"users": {"id": "id"}}, "a source does one of them"),
        ({"guarantees": {"ids": "Stable"}}, "guarantees.ids is about lists"),
        ({"guarantees": {"removal": "ListedOnce"}}, "declare Never or Unknown"),
        ({"http": {"path": "/{{cycle.start.date}}"}}, "declare window"),
        ({"pods": None, "service": {"name": "x", "port": 80, "scheme": "HTTP"},
          "count": {"acrossPods": "Same"}}, "cannot be told apart"),
    ],
)  # fmt: skip
def test_what_does_not_fit_together_is_refused_in_words(fields, says):
    with pytest.raises(Stalled, match=says) as refused:
        stated(**fields)
    assert refused.value.reason == Reason.INVALID_SOURCE


def test_lists_say_nothing_about_the_completeness_of_numbers():
    with pytest.raises(Stalled, match="completeness is about numbers"):
        source(guarantees={"completeness": "Complete"})


def test_what_decides_who_counts_is_in_the_digest_of_a_number():
    digests = {
        read.digest()
        for read in (
            gauge(),
            gauge(prometheus={"metric": "others"}),
            gauge(prometheus={"reduce": "Max"}),
            gauge(window={"days": 31}),
            gauge(guarantees={"completeness": "Complete"}),
        )
    }
    assert len(digests) == 5
    assert request(1, gauge()).source.selection != gauge(window={"days": 31}).selection
    assert gauge(guarantees={"lagSeconds": 5}).selection == gauge().selection
