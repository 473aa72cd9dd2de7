"""Answers that state a number, reduced to what a source reads of them."""

import hmac
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec

from licenseusage.sources.captures.reduced import (
    Onward,
    document_of,
    not_made,
    plain,
    put,
    whole_body,
)
from licenseusage.sources.captures.wires import Answer
from licenseusage.sources.counts.exposition import Exposition
from licenseusage.sources.definition.expressions import walk
from licenseusage.sources.definition.model import EffectiveSource
from licenseusage.sources.definition.numbers import Gauge
from licenseusage.sources.failures import PollError

_LABEL = re.compile(r'([A-Za-z_:][A-Za-z0-9_:.]*)="((?:[^"\\]|\\.)*)"')
_ANOTHER = "another_metric 0"
"""In place of all metrics that nobody reads: an answer without any is no answer of metrics."""


class NumberShape:
    """Where the number stands: at a plain path of the answer, or in the series of one metric."""

    def __init__(self, source: EffectiveSource) -> None:
        """Find it.

        Raises:
            Stalled: ``CaptureNotMade``: the path is no plain one.
        """
        self._source, self._gauge = source, source.count.gauge
        value = source.count.value
        self._path = plain(source, "count.value", value) if value is not None else ()

    def anonymised(
        self, answers: Sequence[Answer], key: bytes, most_bytes: int
    ) -> tuple[tuple[Answer, ...], tuple[str, ...]]:
        """Return the answers with the number alone, and no ids.

        Raises:
            Stalled: ``CaptureNotMade``: an answer cannot be read, or is too large.
        """
        return tuple(self._reduced(answer, key, most_bytes) for answer in answers), ()

    def _reduced(self, answer: Answer, key: bytes, most_bytes: int) -> Answer:
        whole = whole_body(self._source, answer, most_bytes)
        headers = tuple(Onward(self._source, 0).headers(answer.headers))
        body = self._metrics(whole, self._gauge, key) if self._gauge else self._member(whole)
        return replace(answer, headers=headers, body=body)

    def _member(self, whole: bytes) -> bytes:
        """Return a document with the number alone; what is no number keeps its kind only."""
        document = document_of(self._source, whole)
        value = walk(document, self._path)
        if isinstance(value, str) and not value.isdecimal():
            value = "text" if value else value
        elif isinstance(value, list | dict):
            value = type(value)()
        if not self._path:
            return msgspec.json.encode(value)
        made: dict[str, Any] = {}
        put(made, self._path, value)
        return msgspec.json.encode(made)

    def _metrics(self, whole: bytes, gauge: Gauge, key: bytes) -> bytes:
        """Return the lines of one metric; values of labels that are not asked for are replaced."""
        read = Exposition(gauge)
        try:
            read.feed(whole if whole.endswith(b"\n") else whole + b"\n")
        except PollError as error:
            raise not_made(self._source, error.failure.message) from None
        kept = dict(gauge.labels)

        def hidden(match: re.Match[str]) -> str:
            name, value = match.groups()
            if kept.get(name) == value:
                return match[0]
            return f'{name}="other-{hmac.digest(key, value.encode(), "sha256").hex()[:8]}"'

        lines = [line if line[0] == "#" else _LABEL.sub(hidden, line) for line in read.lines]
        others = read.metrics - sum(line[0] != "#" for line in read.lines)
        end = ["# EOF"] if read.ended else []
        return "\n".join([*lines, *([_ANOTHER] if others else []), *end, ""]).encode()
