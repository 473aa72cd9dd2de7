"""The page about the operator's metrics."""

from collections.abc import Iterable, Iterator, Mapping

from licenseusage.controller.rules.metricbook import Family, Per

_HEAD = """\
# Metrics

<!-- Made by `make generate` from the code: do not edit. -->

At `/metrics` of the operator's port `http`, beside `/healthz` and `/readyz`. How
to have them scraped, with alerts and a dashboard: [monitoring.md](monitoring.md).

- Nothing is about a person. What is not known is missing, and never 0.
- No label collides with those of a scraper (`namespace`, `pod`, …), which name the operator's pod.

"""


def page(families: Iterable[Family], labels: Mapping[str, str]) -> str:
    """Return the page.

    Args:
        families: The metrics, in their order on the page.
        labels: Label -> what it says.
    """
    return _HEAD + "".join(f"{line}\n" for line in _lines(families, labels))


def _lines(families: Iterable[Family], labels: Mapping[str, str]) -> Iterator[str]:
    yield "| metric | type | labels | series, at most | meaning |"
    yield "|---|---|---|---|---|"
    for family in families:
        names = ", ".join(f"`{label}`" for label in family.labels)
        yield (
            f"| `{family.name}` | {family.kind} | {names} | {_series(family)} | {family.meaning} |"
        )
    yield ""
    yield "## Labels"
    yield ""
    yield "| label | what it says |"
    yield "|---|---|"
    for label, meaning in labels.items():
        yield f"| `{label}` | {meaning} |"


def _series(family: Family) -> str:
    return (
        str(family.at_most) if family.per is Per.OPERATOR else f"{family.at_most} per {family.per}"
    )
