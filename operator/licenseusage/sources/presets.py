"""Presets: what is known about products, as data files, merged with what the user wrote."""

from dataclasses import dataclass, field
from typing import Any, Literal

from licenseusage.sources.definition import EffectiveSource


@dataclass(frozen=True, slots=True)
class Preset:
    """One product's way of telling who was active, and how far that was verified.

    Attributes:
        verified: ``Live`` (on a running instance), ``Source`` (read in its code) or ``Documentation``.
        version: The product's version it was verified with.
        source: The fields of a source, camelCase, as a user would write them.
    """

    name: str
    title: str
    verified: Literal["Live", "Source", "Documentation"]
    version: str
    notes: tuple[str, ...]
    source: dict[str, Any] = field(repr=False)


def presets() -> dict[str, Preset]:
    """Return the presets by name."""
    raise NotImplementedError


def effective(source: Any) -> EffectiveSource:
    """Merge a source (api.source.Source) with its preset and check it.

    Raises:
        Stalled: ``UnknownPreset`` or ``InvalidSource``, naming the field, what was seen and the fix.
    """
    raise NotImplementedError
