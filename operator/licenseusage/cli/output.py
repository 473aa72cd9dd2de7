"""``--output table|json``, the same for every command that shows something."""

import json
import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Annotated

import typer

_LEAST_ROOM = 30
"""Narrower columns are harder to read than a line that the terminal breaks."""


class Output(StrEnum):
    """How a result is shown: for people, or for programs."""

    TABLE = "table"
    JSON = "json"


OutputOption = Annotated[
    Output, typer.Option("--output", "-o", help="table for people, json for programs.")
]


def print_json(value: object) -> None:
    """Print one JSON document, indented, not escaped beyond need."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2))


def print_fields(fields: Iterable[tuple[str, object]], indent: str = "") -> None:
    """Print names and values, one a line, the values aligned; None is shown as ``-``.

    On a terminal a long value goes on below itself; a program reads it in one line.
    """
    rows = [(name, "-" if value is None else str(value)) for name, value in fields]
    width = max((len(name) for name, _ in rows), default=0)
    left = len(indent) + width + 2
    for name, value in rows:
        first, *others = _fitting(value, left) or [""]
        typer.echo(f"{indent}{name:<{width}}  {first}".rstrip())
        for line in others:
            typer.echo(f"{'':<{left}}{line}")


def _fitting(text: str, left: int) -> list[str]:
    """Return a text in lines that fit a terminal beside a margin; one line where there is none."""
    room = shutil.get_terminal_size().columns - left
    if room < _LEAST_ROOM or not sys.stdout.isatty():
        return [text]
    return textwrap.wrap(text, room, break_long_words=False, break_on_hyphens=False)


def print_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print columns as kubectl does: aligned, two or more spaces apart, no lines."""
    cells = [list(header), *([str(value) for value in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    for row in cells:
        line = "   ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
        typer.echo(line.rstrip())
