"""All hostile answers, by what is wrong with them, and the page that lists them."""

from collections.abc import Iterator, Sequence
from types import ModuleType

from tests.sources.hostile import (
    authentication,
    bodies,
    lies,
    lines,
    numbers,
    paging,
    rows,
    untimed,
    wire,
)
from tests.sources.hostile.case import AtLeast, Case, Complete, Fails

SECTIONS: tuple[ModuleType, ...] = (
    *(wire, authentication, bodies, lines, rows, paging),
    *(lies, numbers, untimed),
)
TABLE: list[Case] = [case for section in SECTIONS for case in section.CASES]

INTRODUCTION = """\
# Hostile answers

What becomes of answers that a product should not give, and sometimes does. `make test` sends each
of them to the operator's own worker processes over HTTP, and checks what this page says; that no
message quotes what the product sent; that a worker neither dies nor needs more memory than a large
answer does; and that a poll ends in time. [reasons.md](reasons.md) says what each reason means, and
its fix. (This page is written by `make generate`.)

- **No count**: the poll fails with this reason. Nothing is counted, and the last number stands.
- **At least N**: what the rows prove counts. Nobody is ruled out by not being listed, and this is
  why.
- **Complete, N**: the answer is unusual, and right.
"""


def page() -> str:
    """Return the page, as Markdown."""
    return "\n".join((INTRODUCTION, *(_section(section) for section in SECTIONS)))


def _section(section: ModuleType) -> str:
    title = (section.__doc__ or "").split("\n")[0].rstrip(".")
    head, _, rest = title.partition(": ")
    lines = [f"## {head}", ""]
    if rest:
        lines += [f"{rest[0].upper()}{rest[1:]}.", ""]
    lines += [f"{len(section.CASES)} answers.", "", "| answer | what becomes of it |", "|---|---|"]
    lines += _rows(section.CASES)
    return "\n".join(lines) + "\n"


def _rows(cases: Sequence[Case]) -> Iterator[str]:
    for case in cases:
        yield f"| {_text(case.name)} | {_words(case.expected)} |"


def _words(expected: Fails | AtLeast | Complete) -> str:
    match expected:
        case Fails(reason):
            return f"No count: {_link(reason)}"
        case AtLeast(people, reason):
            return f"At least {people}: {_link(reason)}"
        case Complete(people):
            return f"Complete, {people}"


def _link(reason: str) -> str:
    return f"[`{reason}`](reasons.md#{reason})"


def _text(name: str) -> str:
    shown = "".join(letter if letter.isprintable() else f"U+{ord(letter):04X}" for letter in name)
    return shown.replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*").replace("_", "\\_")
