"""One gauge out of a product's metrics: Prometheus text format, or OpenMetrics.

Metrics may be megabytes of other things. So only the lines of the wanted gauge are kept, and these
few are parsed by the library that Prometheus' own client uses. It is lax where the format leaves
things open; what would make a number doubtful is refused here: a series that is there twice, a type
that is none of a gauge, an end that is missing.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from prometheus_client import Metric
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as open_metrics,
)
from prometheus_client.parser import text_string_to_metric_families as prometheus_text
from prometheus_client.samples import Sample

from licenseusage.reasons import Reason
from licenseusage.sources.counts.plausible import count_of
from licenseusage.sources.definition.numbers import Gauge
from licenseusage.sources.failures import PollError

MOST_BYTES = 64 * 1024 * 1024
MOST_LINE_BYTES = 64 * 1024
MOST_SERIES = 1000
_GAUGES = {"gauge", "unknown", "untyped"}
_OF_OTHERS = ("_total", "_created", "_count", "_sum", "_bucket", "_info")
"""Suffixes of metrics that are no gauges; their family is called without it."""
_END = b"# EOF"


@dataclass(slots=True)
class Exposition:
    """Takes metrics as they arrive, and keeps what is about one gauge.

    Attributes:
        gauge: Which one.
        lines: Its lines, and those that say what it is.
        metrics: How many lines stated any metric.
        ended: The answer says where it ends (OpenMetrics).
        look: Is shown the lines of other metrics; None: nobody wants them.
    """

    gauge: Gauge
    lines: list[str] = field(default_factory=list)
    metrics: int = 0
    ended: bool = False
    look: Callable[[bytes], None] | None = None
    _bytes: int = 0
    _left: bytes = b""

    def feed(self, data: bytes) -> None:
        """Take the next bytes.

        Raises:
            PollError: They are no metrics, or too many.
        """
        self._bytes += len(data)
        if self._bytes > MOST_BYTES:
            raise PollError(
                Reason.POLL_TOO_LARGE,
                f"the metrics are more than {MOST_BYTES // 1024**2} MiB and reading was stopped. "
                "Check prometheus.path: ask the product, not a server that collects from many.",
                stalls=True,
            )
        *lines, self._left = (self._left + data).split(b"\n")
        for line in lines:
            self._take(line)
        if len(self._left) > MOST_LINE_BYTES:
            raise _not_metrics("a line of it is longer than any metric's")

    def finish(self, *, shows_end: bool) -> tuple[Sample, ...]:
        """Return the series of the gauge that have its labels, each once.

        Args:
            shows_end: The answer's length was told, so that it is known to be whole.

        Raises:
            PollError: What is wrong with the answer, or with the gauge.
        """
        if self._left.strip():
            if self._left.strip() != _END:
                raise (
                    _cut("its last line has no end")
                    if self.metrics
                    else _not_metrics("it holds no line of one")
                )
            self.ended = True
        if not self.metrics and not self.ended:
            raise _not_metrics("it holds no line of one")
        if not shows_end and not self.ended:
            raise _cut("neither its length nor `# EOF` says that it is whole")
        series = _matching(self._parsed(), self.gauge)
        if not series:
            raise _not_found(self.gauge, self.lines)
        _refuse_twice(series, self.gauge)
        return series

    def _take(self, line: bytes) -> None:
        if self.ended and line.strip():
            raise _invalid("something stands behind `# EOF`", self.gauge)
        if line.strip() == _END:
            self.ended = True
        elif line.startswith(b"#"):
            parts = line.split(None, 3)
            if len(parts) == 4 and parts[1] == b"TYPE" and parts[2] in self._families():
                self._keep(line)
        elif line.strip():
            name = self.gauge.metric.encode()
            if not self.metrics and line.lstrip()[:1] in (b"<", b"{", b"["):
                raise _not_metrics("it is a page or JSON, often a sign-in page")
            self.metrics += 1
            if line.startswith(name) and line[len(name) : len(name) + 1] in (b" ", b"\t", b"{"):
                self._keep(line)
            elif self.look is not None:
                self.look(line)

    def _families(self) -> set[bytes]:
        name = self.gauge.metric
        names = {name, *(name.removesuffix(suffix) for suffix in _OF_OTHERS)}
        return {each.encode() for each in names}

    def _keep(self, line: bytes) -> None:
        if len(line) > MOST_LINE_BYTES or len(self.lines) >= MOST_SERIES:
            raise PollError(
                Reason.METRICS_INVALID,
                f"metric {self.gauge.metric} has more than {MOST_SERIES} series, or very long "
                "ones: it does not state one number. Check prometheus.metric.",
                stalls=True,
            )
        try:
            self.lines.append(line.decode().removesuffix("\r"))
        except UnicodeDecodeError:
            raise _invalid("a label is not UTF-8", self.gauge) from None

    def _parsed(self) -> Iterator[Metric]:
        types = [line for line in self.lines if line.startswith("#")]
        if len(types) > 1:
            raise _invalid("it has more than one TYPE", self.gauge)
        series = [line for line in self.lines if not line.startswith("#")]
        for line in series:
            values = len(line.rpartition("}")[2].split()) - ("{" not in line)
            if values > 2 and not self.ended:
                raise _invalid("a line has more than a value and a time", self.gauge)
        text = "\n".join([*types, *series, *(["# EOF"] if self.ended else [])]) + "\n"
        try:
            yield from (open_metrics if self.ended else prometheus_text)(text)
        except (ValueError, IndexError, KeyError, OverflowError):
            raise _invalid("a line of it cannot be read", self.gauge) from None


def number_of(series: Iterable[Sample], gauge: Gauge) -> int:
    """Return the number that the series of a gauge state together.

    Raises:
        PollError: ``CountInvalid``, or ``MetricAmbiguous``: there are several, and it is not
            declared what that means.
    """
    numbers = [count_of(each.value, f"metric {gauge.metric}") for each in series]
    if gauge.reduce == "Max":
        return max(numbers)
    if gauge.reduce == "Sum":
        return count_of(sum(numbers), f"metric {gauge.metric}")
    if len(numbers) > 1:
        raise PollError(
            Reason.METRIC_AMBIGUOUS,
            f"{len(numbers)} series of metric {gauge.metric} fit. Name one by "
            "prometheus.matchLabels; or declare prometheus.reduce: Max if they state the same "
            "number, Sum if no user is in two of them.",
            stalls=True,
        )
    return numbers[0]


def _matching(metrics: Iterable[Metric], gauge: Gauge) -> tuple[Sample, ...]:
    series: list[Sample] = []
    for metric in metrics:
        of_gauge = [each for each in metric.samples if each.name == gauge.metric]
        counter = [each for each in metric.samples if each.name == f"{gauge.metric}_total"]
        if (of_gauge or counter) and (
            metric.type not in _GAUGES or gauge.metric.endswith(_OF_OTHERS)
        ):
            raise PollError(
                Reason.METRIC_NOT_A_GAUGE,
                f"metric {gauge.metric} is no gauge but, by its type or its name, a counter, a "
                "histogram or a summary: it grows with each sign-in, whoever it is. Choose a gauge "
                "of active users.",
                stalls=True,
            )
        series += of_gauge
    wanted = dict(gauge.labels).items()
    return tuple(each for each in series if wanted <= each.labels.items())


def _refuse_twice(series: Iterable[Sample], gauge: Gauge) -> None:
    seen: set[frozenset[tuple[str, str]]] = set()
    for each in series:
        labels = frozenset(each.labels.items())
        if labels in seen:
            raise PollError(
                Reason.METRIC_REPEATED,
                f"a series of metric {gauge.metric} is there twice with the same labels, so that "
                "the answer says two things. Correct the product, or the proxy that joins its "
                "metrics.",
                stalls=True,
            )
        seen.add(labels)


def _not_found(gauge: Gauge, lines: list[str]) -> PollError:
    if any(not line.startswith("#") for line in lines):
        seen = f"metric {gauge.metric} is there, but no series has the labels of matchLabels"
    else:
        seen = f"there is no metric {gauge.metric}"
    return PollError(
        Reason.METRIC_NOT_FOUND,
        f"{seen}; that is not the same as 0. Check prometheus.metric and matchLabels, and whether "
        "the product states it (it may have to be switched on, or one pod of several has it).",
        stalls=True,
    )


def _not_metrics(why: str) -> PollError:
    return PollError(
        Reason.ANSWER_NOT_METRICS,
        f"the answer is neither Prometheus text nor OpenMetrics: {why}. Check prometheus.path and "
        "the credentials.",
        stalls=True,
    )


def _cut(why: str) -> PollError:
    return PollError(
        Reason.ANSWER_TRUNCATED,
        f"the metrics may have been cut off: {why}. See the log of the product and of the proxy.",
    )


def _invalid(why: str, gauge: Gauge) -> PollError:
    return PollError(
        Reason.METRICS_INVALID,
        f"what the metrics say of {gauge.metric} cannot be read: {why}. Correct the product.",
        stalls=True,
    )
