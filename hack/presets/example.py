"""A source by a preset, as a user would write it: what the preset leaves to the user, filled in."""

import re
from typing import Any

from licenseusage.api.source import Source
from licenseusage.metering.bounds import Accuracy
from licenseusage.sources.definition.attainable import attainable
from licenseusage.sources.definition.effective import merged
from licenseusage.sources.definition.presetfile import Preset
from licenseusage.sources.definition.presets import effective


def name_of(preset: Preset) -> str:
    """Return the preset's name as Kubernetes writes names: ``LabelStudio`` as ``label-studio``."""
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+", preset.name)
    return "-".join(words).lower()


def example_source(preset: Preset) -> dict[str, Any]:
    """Return the least source that works with a preset, beside its labels and the Secret's name."""
    if "push" in preset.example:  # nobody is asked
        return merged({"name": "users", "preset": preset.name}, preset.example)
    name = name_of(preset)
    selector = {"matchLabels": {"app.kubernetes.io/name": name}}
    pods: dict[str, Any] = {"selector": selector}
    given = preset.source.get("pods", {})
    if "port" not in given:
        pods |= {"port": 8080, "scheme": "HTTP"}
    source: dict[str, Any] = {"name": "users", "preset": preset.name, "pods": pods}
    if auth := preset.source.get("auth"):
        source["auth"] = {kind: {"secretRef": _secret(kind, name)} for kind in auth}
    return merged(source, preset.example)


def example_object(preset: Preset) -> dict[str, Any]:
    """Return a LicenseUsage that reads a product by a preset, in a cycle that gets a number."""
    name, source = name_of(preset), example_source(preset)
    best = attainable(effective(Source.model_validate(source))).best
    return {
        "apiVersion": "licenseusage.dev/v1alpha1",
        "kind": "LicenseUsage",
        "metadata": {"name": f"{name}-by-preset", "namespace": name},
        "spec": {
            "product": name,
            "cycle": {
                "anchorDate": "2026-11-01",
                "lengthMonths": 2 if best is Accuracy.UNKNOWN else 1,
            },
            "sources": [source],
        },
    }


def _secret(kind: str, name: str) -> dict[str, str]:
    secret = {"name": f"{name}-meter"}
    return secret | {"key": "token"} if kind == "header" else secret
