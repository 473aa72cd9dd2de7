"""Looks for what a number of active users may be instead, for ``source check``.

A product that is licensed for so many people may count no further: its gauge stands still at the
licence's number, and never shows that more were active. Others state how many accounts there are
under a name that promises activity. Nothing in the number itself tells; but the same answer usually
holds the limit, or the number of accounts, under its own name.
"""

import re
from collections.abc import Iterator

from licenseusage.reasons import Reason
from licenseusage.sources.definition.expressions import Json, Path

MOST_LOOKED_AT = 10_000
_SERIES = re.compile(rb"^([A-Za-z_:][A-Za-z0-9_:]*)(?:\{.*\})?\s+([0-9.eE+]+)(?:\s|$)")
_LIMITS = re.compile(
    r"(?<![a-z])(max|maximum|limit|licen[cs]e[ds]?|seats?|quota|cap|capacity|allowed|entitle\w*)(?![a-z])"
)
_ACCOUNTS = re.compile(r"(?<![a-z])(total|registered|accounts?|provisioned|members?|all)(?![a-z])")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_DEPTH = 6


class Lookalikes:
    """Is shown the numbers of an answer beside the one that is read."""

    def __init__(self) -> None:
        """Begin with none."""
        self._seen: list[tuple[str, float]] = []

    def line(self, line: bytes) -> None:
        """Look at a line of metrics."""
        if len(self._seen) < MOST_LOOKED_AT and (series := _SERIES.match(line)) is not None:
            self._keep(series[1].decode(), series[2].decode())

    def document(self, document: Json, read: Path) -> None:
        """Look at the members of an answer, but for the one at a path."""
        for path, value in _numbers(document, ()):
            if path != read and len(self._seen) < MOST_LOOKED_AT:
                self._keep(".".join(path), value)

    def note(self, number: int, *, capped_at: int | None) -> str | None:
        """Return a sentence if the number may be a limit, or the number of accounts.

        Args:
            number: What was read.
            capped_at: What is declared as ``count.saturatesAt``.
        """
        alike = [name for name, value in self._seen if value == number and number > 0]
        if capped_at is None and (limit := _first(_LIMITS, alike)) is not None:
            return (
                f"{limit} states {number}, too, and by its name it is a limit: a product that is "
                "licensed for so many may count no further, and then the number never shows that "
                f"more were active. If so, declare count.saturatesAt {number} "
                f"({Reason.COUNT_SATURATED}: the number is a lower bound then), or read a list of "
                "users instead."
            )
        if (accounts := _first(_ACCOUNTS, alike)) is not None:
            return (
                f"{accounts} states {number}, too, and by its name it counts accounts. Either "
                "everybody was active, or the number is not of those who were. Add an account that "
                "nobody uses, and see by --watch whether the number moves: then read another one, "
                "or a list of users."
            )
        return None

    def _keep(self, name: str, value: str | float) -> None:
        try:
            self._seen.append((name, float(value)))
        except ValueError:
            return


def _numbers(value: Json, above: Path) -> Iterator[tuple[Path, float]]:
    if isinstance(value, dict) and len(above) < _DEPTH:
        for name, inner in value.items():
            yield from _numbers(inner, (*above, name))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield above, value


def _first(names: re.Pattern[str], alike: list[str]) -> str | None:
    """Return the first name that has one of these words."""
    words = ((name, _HUMP.sub("_", name).lower()) for name in alike)
    return next((name for name, text in words if names.search(text)), None)
