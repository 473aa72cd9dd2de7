"""A source in a YAML file: as part of a LicenseUsage, or on its own."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import typer
import yaml
from pydantic import ValidationError

from licenseusage.api.admission import source_refusals
from licenseusage.api.source import Source
from licenseusage.cli.documents import read_text
from licenseusage.errors import Stalled
from licenseusage.metering.cycles import Terms
from licenseusage.reasons import Reason
from licenseusage.sources.definition.checking import unknown_members
from licenseusage.sources.definition.presetfile import Preset
from licenseusage.sources.definition.presets import from_configmap, key_of
from licenseusage.sources.definition.shipped import LABEL

_NO_PRODUCT = "source-check"
_MEMBERS = {"preset", "http", "users", "prometheus", "count", "jetstream", "redis", "push"}
"""A document that has one of these, and no kind, is a source."""


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One source of a file, with the values of its LicenseUsage.

    Attributes:
        terms: The grid of cycles, where the object names one itself.
        beside: ConfigMaps of the same file.
    """

    source: Source
    product: str = _NO_PRODUCT
    terms: Terms | None = None
    beside: Sequence[Mapping[str, Any]] = ()

    def refuse(self) -> None:
        """Refuse a source that the API server would refuse.

        Raises:
            Stalled: ``InvalidSource``, with the message of the CRD's rule.
        """
        for field, message in source_refusals(self.source.to_object()):
            where = "" if field in message else f"{field}: "
            raise Stalled(Reason.INVALID_SOURCE, f"Source {self.source.name}: {where}{message}.")

    def shipped(self) -> Preset | None:
        """Return the preset that comes with the product, if the source names a ConfigMap.

        Raises:
            Stalled: ``ConfigMapNotFound``, ``ConfigMapNotPreset``, ``PresetInvalid`` or
                ``PresetRefused``.
        """
        if self.source.preset_config_map_ref is None:
            return None
        name, key = self.source.preset_config_map_ref.name, key_of(self.source)
        for document in self.beside:
            metadata, data = document.get("metadata") or {}, document.get("data") or {}
            if metadata.get("name") != name or key not in data:
                continue
            if (metadata.get("labels") or {}).get(LABEL) != "true":
                raise Stalled(
                    Reason.CONFIGMAP_NOT_PRESET,
                    f"ConfigMap {name} lacks the label {LABEL}: 'true'.",
                )
            return from_configmap(self.source, str(data[key]), f"ConfigMap {name}, key {key}")
        raise Stalled(
            Reason.CONFIGMAP_NOT_FOUND,
            f"Source {self.source.name} takes its preset from ConfigMap {name}, key {key}: put "
            "that ConfigMap into the same file, behind a line with ---.",
        )


def read_source_file(path: str, name: str | None) -> SourceFile:
    """Return the source called ``name``, or the only one.

    Raises:
        Stalled: ``Unreadable`` or ``InvalidSource``.
        BadParameter: The file has several and none was chosen, or not the chosen one.
    """
    try:
        documents = [
            document for document in yaml.safe_load_all(read_text(path)) if document is not None
        ]
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise Stalled(Reason.FILE_UNREADABLE, f"{path}{where}: not YAML") from None
    sources = [source for document in documents for source in _sources(document)]
    names = [str(raw.get("name")) for raw, _ in sources]
    if not sources:
        raise Stalled(Reason.INVALID_SOURCE, f"{path} holds neither a LicenseUsage nor a source.")
    if name is None and len(sources) > 1:
        raise typer.BadParameter(
            f"the file has several sources ({', '.join(names)}); choose one", param_hint="--source"
        )
    if name is not None and name not in names:
        raise typer.BadParameter(
            f"the file has no source {name!r}; it has {', '.join(names)}", param_hint="--source"
        )
    raw, spec = sources[names.index(name) if name is not None else 0]
    return SourceFile(
        source=_source(raw),
        product=str(spec.get("product") or _NO_PRODUCT),
        terms=_terms(spec),
        beside=[
            document
            for document in documents
            if isinstance(document, Mapping) and document.get("kind") == "ConfigMap"
        ],
    )


def _sources(document: object) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Yield every source, with its spec."""
    if not isinstance(document, Mapping):
        return
    if document.get("kind") == "List":
        for item in document.get("items") or ():
            yield from _sources(item)
    elif document.get("kind") == "LicenseUsage":
        spec = document.get("spec") or {}
        yield from ((raw, spec) for raw in spec.get("sources") or () if isinstance(raw, Mapping))
    elif "kind" not in document and _MEMBERS & document.keys():
        yield {"name": "source", **document}, {}


def _source(raw: Mapping[str, Any]) -> Source:
    try:
        source = Source.model_validate(raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        text = f"Source {raw.get('name')}: {field}: {first['msg']}."
        raise Stalled(Reason.INVALID_SOURCE, text) from None
    unknown = next(unknown_members(raw, source.to_object()), None)
    if unknown is not None:
        raise Stalled(
            Reason.INVALID_SOURCE,
            f"Source {source.name}: there is no field {unknown}; see `kubectl explain "
            "licenseusage.spec.sources`.",
        )
    return source


def _terms(spec: Mapping[str, Any]) -> Terms | None:
    cycle = spec.get("cycle")
    if not isinstance(cycle, Mapping):
        return None
    try:
        anchor = date.fromisoformat(str(cycle.get("anchorDate")))
    except ValueError:
        raise Stalled(
            Reason.INVALID_SPEC, "spec.cycle.anchorDate must be a day, YYYY-MM-DD."
        ) from None
    return Terms(anchor, cycle.get("lengthDays"), cycle.get("lengthMonths"))
