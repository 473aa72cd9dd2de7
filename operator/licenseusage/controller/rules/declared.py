"""The sources as an object declares them: merged with presets, named for ledger and report."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from licenseusage.api.licenseusage import LicenseUsage
from licenseusage.api.source import Source
from licenseusage.errors import Failure, UsageError
from licenseusage.metering.pseudonym import identity_domain
from licenseusage.metering.stores import StoreKey
from licenseusage.reasons import Reason
from licenseusage.sources.definition.model import EffectiveSource
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
    """

    name: str
    selector: str
    source: EffectiveSource | None
    problem: Failure | None = None


Defect = Callable[[Exception, str], Failure]
"""Takes an unforeseen exception and what was being done; returns what to tell (`defects`)."""


def declared(usage: LicenseUsage, defect: Defect) -> tuple[Declared, ...]:
    """Return the sources of an object; an invalid one stops only itself."""
    return tuple(_declared(source, defect) for source in usage.spec.sources)


def _declared(source: Source, defect: Defect) -> Declared:
    selector = source.pods.selector.to_query() if source.pods and source.pods.selector else ""
    try:
        return Declared(source.name, selector, effective(source))
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
    usable = [d.source for d in sources if d.source is not None]
    groups: dict[str, list[EffectiveSource]] = {}
    for source in usable:
        groups.setdefault(source.identity, []).append(source)
    named: dict[str, StoreKey] = {}
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
    for source in sorted(sources, key=lambda d: d.name):
        if source.source is not None:
            digest.update(b"\0" + source.name.encode() + b"\0" + source.source.digest())
    return f"sha256:{digest.hexdigest()}"


def definition(sources: Sequence[Declared]) -> str:
    """Return who counts as active, in words, for status and report: at most 1,024 characters."""
    definitions: dict[str, None] = {}
    for source in sources:
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
