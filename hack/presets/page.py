"""The page: one section for each preset, which answers the same questions each time."""

from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import yaml

from hack.presets.example import example_object
from licenseusage.api.source import Source
from licenseusage.sources.definition.attainable import attainable
from licenseusage.sources.definition.presetfile import Preset, Property, Way
from licenseusage.sources.definition.presets import effective

_WAYS: Final[dict[Way, str]] = {
    "Product": "not in the list or log",
    "Types": "these events are not read",
    "Exclude": "excluded by the preset",
    "You": "**you exclude them**",
}
_VERIFIED: Final = {
    "Live": "on a running instance",
    "Source": "read in the product's source",
    "Documentation": "from the product's documentation",
}

HEAD = """\
<!-- Made by `python -m hack.presets` of the files of the presets: do not edit. -->
# Presets: what is counted, for each product

Each section is made from the preset's file. It says what counts, what does not, who is not a
person, which permission the operator needs, how exact the number is, and what breaks it.
`licenseusage preset show NAME` prints the same. How a source is described in general:
[sources.md](sources.md). What other vendors call active, and which products cannot be billed from:
[definitions.md](definitions.md). OpenCloud step by step: [opencloud.md](opencloud.md).

*Verified* says how far the preset was tried: `Live` (on a running instance), `Source` (read in the
product's source) or `Documentation`. *At best* is the class of accuracy that a final of a cycle of
30 days can reach; it follows from the preset's definition ([measurement.md](measurement.md)).
"""


def page(presets: Iterable[Preset]) -> str:
    """Return the page as Markdown."""
    shown = list(presets)
    return "\n".join([HEAD, _table(shown), *map(_section, shown)])


def _table(presets: Iterable[Preset]) -> str:
    lines = ["| preset | verified | at best | reads |", "|---|---|---|---|"]
    for preset in presets:
        best = attainable(effective(Source.model_validate(_source(preset)))).best
        anchor = preset.name.lower()
        lines.append(
            f"| [`{preset.name}`](#{anchor}) | {preset.verified}, {preset.version} | {best} | "
            f"{preset.title} |"
        )
    return "\n".join([*lines, ""])


def _section(preset: Preset) -> str:
    source = effective(Source.model_validate(_source(preset)))
    reached = attainable(source)
    unverified = f" Not verified: {'; '.join(preset.unverified)}." if preset.unverified else ""
    parts = [
        f"## {preset.name}",
        f"{preset.title}. Verified {_VERIFIED[preset.verified]}, version {preset.version}."
        f"{unverified}",
        f"**What counts.** In reports: *{source.definition}.*",
        _list(preset.counts),
        "**What does not count.**",
        _list(preset.counts_not),
        "**Who is not a person.**",
        _list(f"{group.who} ({_WAYS[group.by]}: {group.how})" for group in preset.not_people),
        f"**Which permission.** {preset.permission}.",
        *(
            ("**What must be true before.**", _list(preset.preconditions))
            * bool(preset.preconditions)
        ),
        f"**How exact.** {' '.join(reached.words)}",
        "**What breaks it.**",
        _list(preset.breaks),
        f"**The same person elsewhere.** {preset.same_id}.",
        f"```yaml\n{_yaml(example_object(preset))}```",
        _properties(preset),
    ]
    return "\n\n".join(parts) + "\n"


def _properties(preset: Preset) -> str:
    files = f"file of {preset.repository}" if preset.repository else "read in"
    lines = [f"| property | value | because | {files} |", "|---|---|---|---|"]
    for promise in preset.properties:
        links = ", ".join(map(_link, promise.read_in))
        value = _value(preset.source, promise)
        lines.append(f"| `{promise.name}` | `{value}` | {promise.because} | {links} |")
    return "\n".join(lines)


def _value(source: Mapping[str, Any], promise: Property) -> str:
    given: Any = source
    for part in promise.name.split("."):
        given = given[part]
    if isinstance(given, Mapping):
        given = given.get("path", ", ".join(f"{name} {value}" for name, value in given.items()))
    return str(given).replace("|", "\\|")


def _link(where: str) -> str:
    if "://" in where:
        return f"[{urlsplit(where).path.rsplit('/', 1)[-1]}]({where})"
    return f"`{where}`"


def _source(preset: Preset) -> dict[str, Any]:
    (source,) = example_object(preset)["spec"]["sources"]
    return dict(source)


def _list(sentences: Iterable[str]) -> str:
    return "\n".join(f"- {sentence}" for sentence in sentences)


def _yaml(shown: dict[str, Any]) -> str:
    return yaml.safe_dump(shown, sort_keys=False, allow_unicode=True, width=110)
