"""The ConfigMap of key statements: public knowledge, kept where nobody needs the private key.

The operator is its only author. It is written when it says something else than it should, be it
that something is new, that somebody has edited it, or that it was deleted.
"""

import asyncio
from collections.abc import Mapping

from licenseusage.controller.effects.kube import Kube, NotFoundError, version_of
from licenseusage.controller.rules.resources import CONFIGMAPS


class PublishedStatements:
    """Keeps the ConfigMap.

    Attributes:
        changed: Set when there may be something new to publish.
    """

    def __init__(self, kube: Kube, namespace: str, name: str) -> None:
        """Write through ``kube``; nothing is known of the ConfigMap yet."""
        self._kube, self._namespace, self._name = kube, namespace, name
        self._wrote: tuple[Mapping[str, str], str] | None = None
        self._noticed: dict[str, object] = {}
        self.changed = asyncio.Event()

    @property
    def named(self) -> str:
        """The ConfigMap, for messages."""
        return f"ConfigMap {self._namespace}/{self._name}"

    def notice(self, chain_id: str, statements: object) -> None:
        """Take note of a key chain as it is now; a chain that has changed is to be published."""
        if self._noticed.get(chain_id) != statements:
            self._noticed[chain_id] = statements
            self.changed.set()

    async def keep(self, data: Mapping[str, str]) -> bool:
        """Make the ConfigMap say this; return whether it had to be written.

        Raises:
            KubeError: The API server refuses or does not answer.
        """
        if self._wrote is not None and self._wrote[0] == data:
            try:
                seen = await self._kube.version(CONFIGMAPS, self._namespace, self._name)
            except NotFoundError:
                seen = ""
            if seen == self._wrote[1]:
                return False
        labels = {"app.kubernetes.io/managed-by": "licenseusage-operator"}
        metadata = {"name": self._name, "namespace": self._namespace, "labels": labels}
        body = {"kind": "ConfigMap", "metadata": metadata, "data": data}
        stored = await self._kube.apply(CONFIGMAPS, body)
        self._wrote = data, version_of(stored)
        return True
