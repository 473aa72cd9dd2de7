"""The sources as an object declares them: merged with presets, named for ledger and report."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from licenseusage.api.licenseusage import LicenseUsage
from licenseusage.api.source import Source
from licenseusage.errors import Consequence, Failure, UsageError
from licenseusage.metering.pseudonym import identity_domain
from licenseusage.metering.stores import NUMBERS, StoreKey
from licenseusage.reasons import Reason
from licenseusage.sources.definition.model import EffectiveSource
from licenseusage.sources.definition.presetfile import Preset
from licenseusage.sources.definition.presets import effective

_DEFINITION_LIMIT = 1024


@dataclass(frozen=True, slots=True)
class Declared:
    """One source of an object.

    Attributes:
        name: As the user named it.
        selector: Label selector of its pods, in the API server's text form.
        source: Merged and checked; None where that failed.
        problem: Why it cannot be read that way; None where it can.
        awaited: Its preset is in a ConfigMap that is not there, or not as it should be: that may
            change without anybody editing the object, as while a chart is upgraded.
    """

    name: str
    selector: str
    source: EffectiveSource | None
    problem: Failure | None = None
    awaited: bool = False

    @property
    def unusable(self) -> bool:
        """Whether nobody waits for it when a cycle ends."""
        return self.source is None and not self.awaited


ShippedPresets = dict[str, Preset | Failure]
"""Source -> the preset of the ConfigMap that it names, or why there is none."""

Defect = Callable[[Exception, str], Failure]
"""Takes an unforeseen exception and what was being done; returns what to tell (`defects`)."""


def declared(usage: LicenseUsage, defect: Defect, shipped: ShippedPresets) -> tuple[Declared, ...]:
    """Return the sources of an object; an invalid one stops only itself.

    Args:
        usage: The object.
        defect: Takes what nobody foresaw.
        shipped: What the ConfigMaps hold that its sources name (`effects.shippedpresets`).
    """
    read = [_declared(source, defect, shipped) for source in usage.spec.sources]
    return _one_number(read)


def _one_number(sources: Sequence[Declared]) -> tuple[Declared, ...]:
    """Refuse all sources but the first that state a number: by a preset, no CRD can see it."""
    numbers = [each for each in sources if each.source is not None and each.source.states_number]
    problem = Failure(
        Reason.INVALID_SOURCE,
        f"Sources {', '.join(each.name for each in numbers)} state numbers, and numbers cannot be "
        "added: the same people may be in both. Keep one of them.",
        Consequence.NEEDS_A_PERSON,
    )
    refused = numbers[1:]
    return tuple(
        replace(each, source=None, problem=problem) if each in refused else each for each in sources
    )


def _deciding(sources: Sequence[Declared]) -> list[Declared]:
    """Return the sources that say who counts: a number beside a list or log does not."""
    usable = [each for each in sources if each.source is not None]
    people = [each for each in usable if each.source is not None and not each.source.states_number]
    return people or usable


def _declared(source: Source, defect: Defect, shipped: ShippedPresets) -> Declared:
    selector = source.pods.selector.to_query() if source.pods and source.pods.selector else ""
    preset = shipped.get(source.name)
    if isinstance(preset, Failure):
        return Declared(source.name, selector, None, preset, awaited=True)
    try:
        return Declared(source.name, selector, effective(source, preset))
    except UsageError as error:
        return Declared(source.name, selector, None, Failure.of(error))
    except Exception as error:
        problem = defect(error, f"it read the definition of source {source.name}")
        return Declared(source.name, selector, None, problem)


def stores(sources: Sequence[Declared], key_id: str) -> dict[str, StoreKey]:
    """Return source name -> its store of facts, in its identity domain (MEASUREMENT §7).

    Sources with one ``identity`` name people alike, so they share a domain. How ids are read is
    part of it: after a change in mid-cycle the same person would count twice.

    Args:
        sources: As declared; those without a usable definition have no store.
        key_id: Public name of the pseudonym key.
    """
    declared = [d.source for d in sources if d.source is not None]
    usable = [source for source in declared if not source.states_number]
    groups: dict[str, list[EffectiveSource]] = {}
    for source in usable:
        groups.setdefault(source.identity, []).append(source)
    named = {
        source.name: StoreKey(source.name, NUMBERS) for source in declared if source.states_number
    }
    for source in usable:
        group = groups[source.identity]
        # By expression, not by source: adding a source that reads ids alike changes no domain.
        expressions = {member.users.id: member.users.id for member in group}
        normalisations = "\n".join(sorted({",".join(member.users.normalize) for member in group}))
        domain = identity_domain(source.identity, expressions, normalisations, key_id)
        named[source.name] = StoreKey(source.name, domain)
    return named


def rules_digest(sources: Sequence[Declared], combine: str) -> str:
    """Return ``rules.digest`` of the report: ``sha256:…`` over what decides who counts."""
    digest = hashlib.sha256(combine.encode())
    for source in sorted(_deciding(sources), key=lambda d: d.name):
        if source.source is not None:
            digest.update(b"\0" + source.name.encode() + b"\0" + source.source.digest())
    return f"sha256:{digest.hexdigest()}"


def definition(sources: Sequence[Declared]) -> str:
    """Return who counts as active, in words, for status and report: at most 1,024 characters."""
    definitions: dict[str, None] = {}
    for source in _deciding(sources):
        if source.source is not None and source.source.definition:
            definitions[" ".join(source.source.definition.split())] = None
    text = "; or ".join(definitions) or "The product recorded an activity stamp for the user."
    return text if len(text) <= _DEFINITION_LIMIT else text[: _DEFINITION_LIMIT - 1] + "…"


def exclusions(skipped: Sequence[Mapping[str, int]]) -> dict[str, int]:
    """Return ``rules.exclusions``: users that the rules excluded, by reason, over all sources."""
    total: dict[str, int] = {}
    for counts in skipped:
        for reason in (Reason.EXCLUDED, Reason.EXCLUDED_ID):
            if counts.get(reason):
                total[reason] = total.get(reason, 0) + counts[reason]
    return total
