"""Answers in which a number of users should stand, and does not."""

from typing import Any

from licenseusage.reasons import Reason
from licenseusage.sources.poll import MIB, PollLimits
from tests.sources.hostile.case import LEAK, LIMITS, Case, Fails
from tests.sources.numbers import GAUGE, STATED, TYPE, metrics, open_metrics
from tests.sources.product import Answer, Request, answer

LARGE = PollLimits(
    request_seconds=LIMITS.request_seconds, poll_seconds=10, poll_bytes=256 * MIB, poll_pages=50
)
GAUGE_TYPE = TYPE.strip()


def gauge(name: str, lines: bytes | tuple[str, ...], reason: Reason, **more: Any) -> Case:
    served = lines if isinstance(lines, bytes) else metrics(*lines)
    read = GAUGE | {"prometheus": GAUGE["prometheus"] | more.pop("prometheus", {})}
    return Case(f"gauge: {name}", served, Fails(reason), read, more)


def stated(name: str, body: Any, reason: Reason) -> Case:
    return Case(f"number: {name}", answer(body), Fails(reason), STATED)


def endless(line: bytes) -> Any:
    """A product that sends about 100 MB of this."""

    def respond(_: Request) -> Answer:
        yield b"HTTP/1.1 200 OK\r\nDate: Fri, 20 Nov 2026 12:00:00 GMT\r\n\r\n"
        part = line * (MIB // len(line))
        for _part in range(100):
            yield part

    return respond


CASES = [
    gauge("absent", ("up 1", "users_active_old 5"), Reason.METRIC_NOT_FOUND),
    gauge("type without a value", (GAUGE_TYPE, "up 1"), Reason.METRIC_NOT_FOUND),
    gauge(
        "other labels only",
        ('users_active{period="7d"} 5',),
        Reason.METRIC_NOT_FOUND,
        prometheus={"matchLabels": {"period": "30d"}},
    ),
    gauge("NaN", (GAUGE_TYPE, "users_active NaN"), Reason.COUNT_INVALID),
    gauge("infinite", ("users_active +Inf",), Reason.COUNT_INVALID),
    gauge("negative", ("users_active -1",), Reason.COUNT_INVALID),
    gauge("a fraction", ("users_active 4.5",), Reason.COUNT_INVALID),
    gauge("beyond all people", ("users_active 1e18",), Reason.COUNT_INVALID),
    gauge("a text", (f"users_active {LEAK}",), Reason.METRICS_INVALID),
    gauge("no value", ("users_active ",), Reason.METRICS_INVALID),
    gauge("three values", ("users_active 5 6 7",), Reason.METRICS_INVALID),
    gauge("hexadecimal", ("users_active 0x10",), Reason.METRICS_INVALID),
    gauge("underscored digits", ("users_active 1_000",), Reason.METRICS_INVALID),
    gauge("labels left open", ('users_active{a="b" 5',), Reason.METRICS_INVALID),
    gauge("a label twice", ('users_active{a="b",a="c"} 5',), Reason.METRICS_INVALID),
    gauge("a value without quotes", ("users_active{a=b} 5",), Reason.METRICS_INVALID),
    gauge(
        "a label that is not UTF-8",
        answer(b'users_active{a="\xff"} 5\n', headers={"Content-Type": "text/plain"}),
        Reason.METRICS_INVALID,
    ),
    gauge(
        "two series", ('users_active{a="1"} 5', 'users_active{a="2"} 6'), Reason.METRIC_AMBIGUOUS
    ),
    gauge("the same series twice", ("users_active 5", "users_active 6"), Reason.METRIC_REPEATED),
    gauge(
        "the same series twice, to be added",
        ('users_active{a="1"} 5', 'users_active{a="1"} 5'),
        Reason.METRIC_REPEATED,
        prometheus={"reduce": "Sum"},
    ),
    gauge(
        "one of several is no number",
        ('users_active{a="1"} 5', 'users_active{a="2"} NaN'),
        Reason.COUNT_INVALID,
        prometheus={"reduce": "Max"},
    ),
    gauge(
        "a counter", ("# TYPE users_active counter", "users_active 5"), Reason.METRIC_NOT_A_GAUGE
    ),
    gauge(
        "a counter by its name",
        ("# TYPE users_active_total gauge", "users_active_total 5"),
        Reason.METRIC_NOT_A_GAUGE,
        prometheus={"metric": "users_active_total"},
    ),
    gauge(
        "a histogram's count",
        ("# TYPE users_active histogram", "users_active_count 5"),
        Reason.METRIC_NOT_A_GAUGE,
        prometheus={"metric": "users_active_count"},
    ),
    gauge(
        "a counter in OpenMetrics",
        open_metrics("# TYPE users_active counter", "users_active_total 5"),
        Reason.METRIC_NOT_A_GAUGE,
        prometheus={"metric": "users_active_total"},
    ),
    gauge(
        "two types",
        (GAUGE_TYPE, "# TYPE users_active counter", "users_active 5"),
        Reason.METRICS_INVALID,
    ),
    gauge(
        "a type of nobody",
        ("# TYPE users_active people", "users_active 5"),
        Reason.METRICS_INVALID,
    ),
    gauge("a stale time", ("users_active 5 1000",), Reason.COUNT_STALE),
    gauge("a time to come", ("users_active 5 99999999999999",), Reason.COUNT_STALE),
    gauge(
        "a sign-in page",
        answer(b"<!DOCTYPE html>\n<html><body>\nusers_active 5\n</body></html>\n"),
        Reason.ANSWER_NOT_METRICS,
    ),
    gauge("JSON", answer({"users_active": 5}), Reason.ANSWER_NOT_METRICS),
    gauge("nothing", answer(b""), Reason.ANSWER_NOT_METRICS),
    gauge("no content", answer(b"", "204 No Content"), Reason.ANSWER_EMPTY),
    gauge(
        "a last line without an end",
        answer(b"up 1\nusers_active 5"),
        Reason.ANSWER_TRUNCATED,
    ),
    Case(
        "gauge: an answer of untold length",
        lambda _: [
            b"HTTP/1.1 200 OK\r\nDate: Fri, 20 Nov 2026 12:00:00 GMT\r\n\r\nusers_active 5\n"
        ],
        Fails(Reason.ANSWER_TRUNCATED),
        GAUGE,
    ),
    Case(
        "gauge: fewer bytes than told",
        lambda _: [answer(b"users_active 5\n", length=500)],
        Fails(Reason.ANSWER_TRUNCATED),
        GAUGE,
    ),
    gauge(
        "something behind the end",
        metrics(GAUGE_TYPE, "users_active 5", "# EOF", "users_active 6"),
        Reason.METRICS_INVALID,
    ),
    Case(
        "gauge: 100 MB in one line",
        endless(b"x" * 64),
        Fails(Reason.ANSWER_NOT_METRICS),
        GAUGE,
        {"limits": LARGE},
    ),
    Case(
        "gauge: 100 MB of metrics",
        endless(b"some_metric_of_somebody 5\n"),
        Fails(Reason.POLL_TOO_LARGE),
        GAUGE,
        {"limits": LARGE},
    ),
    Case(
        "gauge: 100 MB of series",
        endless(b'users_active{a="b"} 5\n'),
        Fails(Reason.METRICS_INVALID),
        GAUGE,
        {"limits": LARGE},
    ),
    gauge(
        "a label of a million backslashes",
        answer(b'users_active{a="' + b"\\" * MIB + b'"} 5\n'),
        Reason.ANSWER_NOT_METRICS,
    ),
    stated("absent", {"active": {}}, Reason.COUNT_MISSING),
    stated("null", {"active": {"users": None}}, Reason.COUNT_MISSING),
    stated("an empty text", {"active": {"users": ""}}, Reason.COUNT_MISSING),
    stated("a list", {"active": {"users": [LEAK]}}, Reason.COUNT_INVALID),
    stated("an object", {"active": {"users": {LEAK: 5}}}, Reason.COUNT_INVALID),
    stated("true", {"active": {"users": True}}, Reason.COUNT_INVALID),
    stated("a text", {"active": {"users": LEAK}}, Reason.COUNT_INVALID),
    stated("minus one", {"active": {"users": -1}}, Reason.COUNT_INVALID),
    stated("a fraction", {"active": {"users": 4.5}}, Reason.COUNT_INVALID),
    stated("beyond all people", {"active": {"users": 10**12}}, Reason.COUNT_INVALID),
    stated("NaN", b'{"active": {"users": NaN}}', Reason.ANSWER_INVALID_JSON),
    stated("infinite", b'{"active": {"users": 1e999}}', Reason.COUNT_INVALID),
    stated(
        "5,000 digits", b'{"active": {"users": ' + b"9" * 5000 + b"}}", Reason.ANSWER_INVALID_JSON
    ),
    stated("cut", b'{"active": {"users": 41', Reason.ANSWER_INVALID_JSON),
    stated("nested without end", b"[" * 100_000, Reason.ANSWER_INVALID_JSON),
    stated("twice", b'{"active": {"users": 5, "users": 500}}', Reason.ANSWER_AMBIGUOUS),
    stated(
        "its object twice",
        b'{"active": {"users": 5}, "active": {"users": 500}}',
        Reason.ANSWER_AMBIGUOUS,
    ),
    stated("a sign-in page", b"<html><body>Sign in</body></html>", Reason.ANSWER_NOT_JSON),
    stated("metrics", b"users_active 5\n", Reason.ANSWER_INVALID_JSON),
    stated("white space", b"  \n", Reason.ANSWER_EMPTY),
    stated("nothing", b"", Reason.ANSWER_EMPTY),
    Case(
        "number: 100 MB",
        endless(b'{"active": {"users": 5}},'),
        Fails(Reason.POLL_TOO_LARGE),
        STATED,
        {"limits": LARGE},
    ),
]
