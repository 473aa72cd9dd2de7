"""Finals as a table: shares of each class, and how wide the bounds are."""

from collections import Counter
from collections.abc import Mapping, Sequence

from licenseusage.metering.bounds import Accuracy
from trials.months.run import Final
from trials.months.scenario import Scenario

SHARES = (
    Accuracy.EXACT,
    Accuracy.BOUNDED,
    Accuracy.LOWER_BOUND,
    Accuracy.UNKNOWN,
)
_HEAD = (
    "preset",
    "removal",
    "nothing can be read",
    "erased",
    "excluded",
    *map(str, SHARES),
    "mean width",
)


def shares(finals: Sequence[Final]) -> dict[Accuracy, float]:
    """Return the share of each class that occurs."""
    counts = Counter(final.accuracy for final in finals)
    return {accuracy: count / len(finals) for accuracy, count in counts.items()}


def mean_width(finals: Sequence[Final]) -> float | None:
    """Return the mean distance of the bounds, of finals that have both; None: none has."""
    widths = [final.width for final in finals if final.width is not None]
    return sum(widths) / len(widths) if widths else None


def markdown(results: Mapping[Scenario, Sequence[Final]]) -> str:
    """Return the table as docs/measurement.md has it."""
    rows = [_HEAD, ("---",) * len(_HEAD)]
    for scenario, finals in results.items():
        share, width = shares(finals), mean_width(finals)
        cells = (f"{100 * share.pop(accuracy, 0):.0f} %" for accuracy in SHARES)
        rows.append((*scenario.words, *cells, "–" if width is None else f"{width:.1f}"))  # noqa: RUF001
        assert not share, f"{scenario.words}: classes without a column: {share}"  # noqa: S101
    return "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"
