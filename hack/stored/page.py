"""The tables of docs/privacy.md, and where they stand in it."""

from collections.abc import Iterable, Iterator

from hack.marks import between
from hack.stored.group import Group
from hack.stored.places import Place

BEGIN = "<!-- Made by `make generate` from the code: do not edit from here"
END = "<!-- to here -->"


def with_tables(page: str, places: Iterable[Place]) -> str:
    """Return the page with its tables made anew; what is around them stays.

    Raises:
        NoMarksError: The marks are missing.
    """
    made = f" -->\n\n{''.join(_lines(places))}"
    return between(page, BEGIN, END, made, name="docs/privacy.md")


def _lines(places: Iterable[Place]) -> Iterator[str]:
    for place in places:
        yield f"### {place.title}\n\n{place.readers}\n\n"
        for group in place.groups:
            yield from _group(group)


def _group(group: Group) -> Iterator[str]:
    yield f"**{group.name}**: {group.what}. Kept {group.kept}.\n\n"
    yield "| field | purpose |\n|---|---|\n"
    for name, purpose in group.fields.items():
        quoted = name if "`" in name or " " in name else f"`{name}`"
        yield f"| {quoted} | {purpose} |\n"
    yield "\n"
