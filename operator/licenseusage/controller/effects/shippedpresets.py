"""Presets that come with a product: read from the ConfigMaps that its sources name.

Of the object's own namespace, by name, and only those that were made for it.
"""

from licenseusage.api.licenseusage import LicenseUsage
from licenseusage.controller.effects.secrets import SecretReader
from licenseusage.controller.rules.declared import ShippedPresets
from licenseusage.controller.rules.resources import CONFIGMAPS, Dependency
from licenseusage.errors import Failure, Stalled
from licenseusage.sources.definition.presets import from_configmap, key_of


async def shipped_presets(
    reader: SecretReader, namespace: str, usage: LicenseUsage, loop_s: float
) -> ShippedPresets:
    """Return the preset, or why there is none, of each source that names a ConfigMap.

    Args:
        reader: Reads ConfigMaps.
        namespace: The object's.
        usage: The object.
        loop_s: Monotonic seconds, for the reader's memory.

    Raises:
        Retryable: ``APIUnavailable``: nothing can be said of any of them now.
    """
    shipped: ShippedPresets = {}
    for source in usage.spec.sources:
        if (ref := source.preset_config_map_ref) is None:
            continue
        key = key_of(source)
        try:
            text = await reader.preset(namespace, ref.name, key, loop_s)
            where = f"ConfigMap {namespace}/{ref.name}, key {key}"
            shipped[source.name] = from_configmap(source, text.decode("utf-8", "replace"), where)
        except Stalled as error:
            shipped[source.name] = Failure.of(error)
    return shipped


def preset_configmaps(namespace: str, usage: LicenseUsage) -> frozenset[Dependency]:
    """Return the ConfigMaps that an object takes presets from, as something it depends on."""
    return frozenset(
        Dependency(CONFIGMAPS, namespace, source.preset_config_map_ref.name)
        for source in usage.spec.sources
        if source.preset_config_map_ref is not None
    )
