"""Presets: known products, as data files beside this module (``presets/*.yaml``).

A preset is a source as a user would write it, without what only the user knows (pods' labels, the
Secret). Adding one is adding a file; its claims say how far they were verified.
"""

from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any, Literal

import yaml

from licenseusage.api.source import Source
from licenseusage.errors import Stalled
from licenseusage.reasons import Reason
from licenseusage.sources.definition.effective import effective_of
from licenseusage.sources.definition.model import EffectiveSource

Way = Literal["Product", "Types", "Exclude", "You"]


@dataclass(frozen=True, slots=True)
class NotPeople:
    """Rows or events of a product that are not people, and why they do not count.

    Attributes:
        who: What or who they are.
        by: ``Product``: it does not list them. ``Types``: such events are not among those read.
            ``Exclude``: the preset's ``users.exclude`` leaves them out. ``You``: only the user can
            know them, and leaves them out.
        how: How they are told, or what the user has to write.
    """

    who: str
    by: Way
    how: str


@dataclass(frozen=True, slots=True)
class Preset:
    """One product's way of telling who was active, and how far that was verified.

    Attributes:
        title: What it reads, in a few words.
        verified: ``Live`` (on a running instance), ``Source`` (read in its code) or
            ``Documentation``.
        version: The product's version it was verified with.
        unverified: Parts that were not verified.
        notes: What an administrator should know before using it.
        not_people: Which rows or events are not people; never empty.
        account: Path of an item's user name, so that the collector's own can be noticed.
        when_nobody: What it means for this product if no listed user has a last activity.
        when_500: What is likely wrong with this product if it answers with HTTP 500.
        source: The fields of a source, camelCase, as a user would write them.
    """

    name: str
    title: str
    verified: Literal["Live", "Source", "Documentation"]
    version: str
    unverified: tuple[str, ...]
    notes: tuple[str, ...]
    not_people: tuple[NotPeople, ...]
    account: str | None
    when_nobody: str | None
    when_500: str | None
    source: dict[str, Any] = field(repr=False)


@cache
def presets() -> dict[str, Preset]:
    """Return the presets by name, in alphabetical order."""
    folder = files(__package__ or "licenseusage.sources") / "presets"
    entries = sorted(
        (entry for entry in folder.iterdir() if entry.name.endswith(".yaml")),
        key=lambda entry: entry.name,
    )
    return {
        entry.name.removesuffix(".yaml"): _preset(entry.name, entry.read_text(encoding="utf-8"))
        for entry in entries
    }


def effective(source: Source) -> EffectiveSource:
    """Merge a source with its preset and check the whole.

    What the source gives replaces the preset's, member by member; a list replaces a list as a
    whole; another kind of ``auth`` or another ``pagination.type`` replaces the preset's altogether.

    Raises:
        Stalled: ``UnknownPreset``, or ``InvalidSource`` naming the field, what was seen and the
            fix.
    """
    preset = None
    if source.preset is not None:
        preset = presets().get(source.preset)
        if preset is None:
            raise Stalled(
                Reason.UNKNOWN_PRESET,
                f"Source {source.name}: there is no preset {source.preset!r}. There are "
                f"{', '.join(presets())}; or leave preset out and write http and users in full.",
            )
    return effective_of(
        source,
        preset.source if preset else {},
        account=preset.account if preset else None,
        when_nobody=preset.when_nobody if preset else None,
        when_500=preset.when_500 if preset else None,
    )


def _preset(file_name: str, text: str) -> Preset:
    data = yaml.safe_load(text)
    return Preset(
        name=file_name.removesuffix(".yaml"),
        title=data["title"],
        verified=data["verified"],
        version=data["version"],
        unverified=tuple(data.get("unverified", ())),
        notes=tuple(data.get("notes", ())),
        not_people=tuple(NotPeople(**entry) for entry in data["notPeople"]),
        account=data.get("account"),
        when_nobody=data.get("whenNobody"),
        when_500=data.get("when500"),
        source=data["source"],
    )
