"""``--output table|json``, the same for every command that shows something."""

import json
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Annotated

import typer


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
    """Print names and values, one a line, the values aligned; None is shown as ``-``."""
    rows = [(name, "-" if value is None else str(value)) for name, value in fields]
    width = max((len(name) for name, _ in rows), default=0)
    for name, value in rows:
        typer.echo(f"{indent}{name:<{width}}  {value}".rstrip())


def print_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print columns as kubectl does: aligned, two or more spaces apart, no lines."""
    cells = [list(header), *([str(value) for value in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    for row in cells:
        line = "   ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
        typer.echo(line.rstrip())
