"""Presets: known products, as data files beside this module (``presets/*.yaml``).

A preset is a source as a user would write it, without what only the user knows (pods' labels, the
Secret). Adding one is adding a file; its claims say how far they were verified.
"""

from functools import cache
from importlib.resources import files

from licenseusage.api.source import Source
from licenseusage.errors import Stalled
from licenseusage.reasons import Reason
from licenseusage.sources.definition.effective import effective_of
from licenseusage.sources.definition.expressions import walk
from licenseusage.sources.definition.model import EffectiveSource
from licenseusage.sources.definition.presetfile import Preset, preset_of
from licenseusage.sources.definition.shipped import shipped_preset


@cache
def presets() -> dict[str, Preset]:
    """Return the presets by name, in alphabetical order."""
    folder = files(__package__ or "licenseusage.sources") / "presets"
    entries = sorted(
        (entry for entry in folder.iterdir() if entry.name.endswith(".yaml")),
        key=lambda entry: entry.name,
    )
    read = (
        preset_of(entry.name.removesuffix(".yaml"), entry.read_text(encoding="utf-8"))
        for entry in entries
    )
    return {preset.name: preset for preset in read}


def effective(source: Source, shipped: Preset | None = None) -> EffectiveSource:
    """Merge a source with its preset and check the whole.

    Args:
        source: As the user wrote it.
        shipped: The preset that ``presetConfigMapRef`` names (`shipped_preset`), where it does.

    What the source gives replaces the preset's, member by member; a list replaces a list as a
    whole; another kind of ``auth`` or another ``pagination.type`` replaces the preset's altogether.

    Raises:
        Stalled: ``UnknownPreset``, or ``InvalidSource`` naming the field, what was seen and the
            fix.
    """
    preset = shipped
    if source.preset is not None and shipped is None:
        preset = presets().get(source.preset)
        if preset is None:
            raise Stalled(
                Reason.UNKNOWN_PRESET,
                f"Source {source.name}: there is no preset {source.preset!r}. There are "
                f"{', '.join(presets())}; or leave preset out and write http and users in full.",
            )
    if preset is not None:
        _refuse_unnamed(source, preset)
    return effective_of(
        source,
        preset.source if preset else {},
        reviewed=shipped is None,
        account=preset.account if preset else None,
        when_nobody=preset.when_nobody if preset else None,
        when_500=preset.when_500 if preset else None,
        when_off=preset.when_off if preset else None,
    )


def _refuse_unnamed(source: Source, preset: Preset) -> None:
    """Refuse a source without a field that only the user knows.

    Raises:
        Stalled: ``InvalidSource``, naming the field and what to write there.
    """
    given = source.to_object()
    for need in preset.needs:
        if walk(given, tuple(need.field.split("."))) is None:
            raise Stalled(
                Reason.INVALID_SOURCE,
                f"Source {source.name}: {need.field} is missing, and preset {preset.name} cannot "
                f"know it: {need.why}.",
            )


def from_configmap(source: Source, text: str, where: str) -> Preset:
    """Read the preset that a source takes from a ConfigMap.

    Args:
        source: It has ``preset`` and ``presetConfigMapRef``.
        text: The value of the key `key_of`.
        where: What messages call that ConfigMap and key.

    Raises:
        Stalled: ``PresetInvalid`` or ``PresetRefused``.
    """
    return shipped_preset(
        source.preset or "", text, f"Source {source.name}: {where}", frozenset(presets())
    )


def key_of(source: Source) -> str:
    """Return the key of the ConfigMap under which a source's preset stands."""
    return f"{source.preset}.yaml"
