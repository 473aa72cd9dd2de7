"""A poll's targets and credentials, read from the cluster.

Read right before they are used. Pods and Services are of the object's namespace, Secrets as well;
anything else is an endpoint that the operator's own settings name. Nothing else is ever called.
"""

import asyncio
from dataclasses import dataclass

from licenseusage.controller.effects.endpoints import EndpointBook, resolve
from licenseusage.controller.effects.kube import Kube
from licenseusage.controller.effects.pods import ready_pods
from licenseusage.controller.effects.secrets import SecretReader
from licenseusage.controller.effects.services import service_address
from licenseusage.controller.rules.resources import CONFIGMAPS, PODS, SECRETS, SERVICES, Dependency
from licenseusage.errors import Failure, UsageError
from licenseusage.reasons import Reason
from licenseusage.sources.definition.model import BasicAuth, EffectiveSource, Pods
from licenseusage.sources.poll import Credentials, Looked, Target, credentials


@dataclass(frozen=True, slots=True)
class Reach:
    """Where a source is asked, and with what.

    Attributes:
        targets: In the order to try.
        credentials: None: none are sent.
        digest: Of the Secrets used: another one is a reason to try again.
    """

    targets: tuple[Target, ...]
    credentials: Credentials | None
    digest: str


_OF_PLACES = frozenset(
    {
        Reason.NO_PODS,
        Reason.NO_READY_PODS,
        Reason.PORT_NOT_FOUND,
        Reason.ADDRESS_REFUSED,
        Reason.SERVICE_NOT_FOUND,
    }
)
"""Reasons of failures before any Secret was read."""


@dataclass(frozen=True, slots=True)
class Finder:
    """Finds servers and credentials; one for the operator."""

    kube: Kube
    reader: SecretReader
    endpoints: EndpointBook
    loopback_allowed: bool

    async def reach(self, namespace: str, source: EffectiveSource, selector: str) -> Reach:
        """Find out where an object's source is asked, and with what: as it is now.

        Raises:
            UsageError: What is missing, and the fix.
        """
        self.reader.forget(namespace)
        if source.pods is None:
            targets = await self._endpoint(namespace, source)
        else:
            targets = await self._places(namespace, source.pods, selector)
        sent_credentials = None
        if source.auth is not None:
            name = _secret_of(source)
            data = await self.reader.credentials(namespace, name, _loop_s())
            sent_credentials = credentials(source.auth, data.values, f"Secret {namespace}/{name}")
        return Reach(targets, sent_credentials, await self.digest(namespace, source))

    async def look(self, namespace: str, source: EffectiveSource, selector: str) -> Looked:
        """Find out again where an object's source is asked, for a poll under way."""
        try:
            reach = await self.reach(namespace, source, selector)
        except UsageError as error:
            return Looked(failure=Failure.of(error))
        return Looked(reach.targets, reach.credentials)

    def depends(
        self, namespace: str, source: EffectiveSource, selector: str, problem: Failure
    ) -> frozenset[Dependency]:
        """Return what would have to change for a source that could not be reached."""
        if problem.reason in _OF_PLACES:
            if source.pods is None:
                return frozenset()
            if source.pods.service is not None:
                return frozenset({Dependency(SERVICES, namespace, source.pods.service)})
            return frozenset({Dependency(PODS, namespace, selector=selector)})
        if source.pods is None:
            book = Dependency(CONFIGMAPS, self.endpoints.namespace, self.endpoints.configmap)
            return frozenset({book})
        names = {_secret_of(source)} if source.auth is not None else set()
        if source.pods.ca is not None:
            names.add(source.pods.ca.name)
        return frozenset(Dependency(SECRETS, namespace, name) for name in names)

    async def _places(self, namespace: str, pods: Pods, selector: str) -> tuple[Target, ...]:
        allowed = self.loopback_allowed
        if pods.service is not None:
            addresses = [
                await service_address(
                    self.kube, namespace, pods.service, pods.port, loopback_allowed=allowed
                )
            ]
        else:
            addresses = await ready_pods(
                self.kube, namespace, selector, pods.port, loopback_allowed=allowed
            )
        ca = None
        if pods.ca is not None:
            ca = await self.reader.certificates(namespace, pods.ca.name, pods.ca.key, _loop_s())
        name = pods.server_name
        if pods.service is not None and name is None:
            name = f"{pods.service}.{namespace}.svc"
        return tuple(
            Target(
                host=address.host,
                port=address.port,
                scheme=pods.scheme,
                label=address.pod,
                ca_pem=ca,
                server_name=name,
            )
            for address in addresses
        )

    async def _endpoint(self, namespace: str, source: EffectiveSource) -> tuple[Target, ...]:
        name = source.endpoint or ""
        self.reader.forget(self.endpoints.namespace)
        endpoint = await self.endpoints.find(
            self.reader, namespace, name, log=source.reads_log, loop_s=_loop_s()
        )
        host, port = endpoint.host_port
        addresses = await resolve(endpoint, name, loopback_allowed=self.loopback_allowed)
        return tuple(
            Target(
                host=address,
                port=port,
                scheme=endpoint.scheme,
                label=f"endpoint {name}",
                ca_pem=endpoint.ca,
                server_name=endpoint.server_name or host,
            )
            for address in addresses
        )

    async def digest(self, namespace: str, source: EffectiveSource) -> str:
        """Digest of the Secrets that a source uses, as they are known now."""
        names = {_secret_of(source)} if source.auth is not None else set()
        if source.pods is not None and source.pods.ca is not None:
            names.add(source.pods.ca.name)
        digests = [
            (await self.reader.read(SECRETS, namespace, name, _loop_s())).digest()
            for name in sorted(names)
        ]
        return "+".join(digests)


def _secret_of(source: EffectiveSource) -> str:
    if isinstance(source.auth, BasicAuth):
        return source.auth.secret_name
    assert source.auth is not None  # noqa: S101 - callers have asked
    return source.auth.secret.name


def _loop_s() -> float:
    return asyncio.get_running_loop().time()
