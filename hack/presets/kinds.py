"""The table of docs/sources.md: by which kind of source each preset reads its product."""

from collections.abc import Iterable
from typing import Final

from hack.marks import between
from hack.presets.example import example_source
from licenseusage.api.source import Source
from licenseusage.sources.definition.attainable import attainable
from licenseusage.sources.definition.model import EffectiveSource
from licenseusage.sources.definition.presetfile import Preset
from licenseusage.sources.definition.presets import effective

BEGIN: Final = "<!-- Made by `make generate` of the files of the presets: do not edit from here -->"
END: Final = "<!-- to here -->"


def with_kinds(text: str, presets: Iterable[Preset]) -> str:
    """Return docs/sources.md with its table of presets made anew; what is around it stays.

    Raises:
        NoMarksError: The marks are missing.
    """
    return between(text, BEGIN, END, f"\n\n{_table(presets)}\n", name="docs/sources.md")


def _table(presets: Iterable[Preset]) -> str:
    kinds: dict[str, list[str]] = {}
    for preset in presets:
        source = effective(Source.model_validate(example_source(preset)))
        best = attainable(source).best
        link = f"[`{preset.name}`](presets.md#{preset.name.lower()}) ({best})"
        kinds.setdefault(_kind(source), []).append(link)
    lines = ["| read as | presets, and what a cycle of 30 days gets at best |", "|---|---|"]
    return "\n".join([*lines, *(f"| {kind} | {', '.join(kinds[kind])} |" for kind in _ORDER), ""])


_ORDER: Final = (
    "[list with times](#lists-with-times)",
    "[list without times](#lists-without-times)",
    "[event log](#event-logs)",
    "[number](#numbers-in-place-of-people)",
    "[pushed activity](#activity-that-the-product-pushes)",
)


def _kind(source: EffectiveSource) -> str:
    times, lately, log, number, pushed = _ORDER
    if source.pushed is not None:
        return pushed
    if source.states_number:
        return number
    if source.reads_log:
        return log
    return times if source.window is None else lately
