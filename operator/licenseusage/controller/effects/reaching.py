"""A poll's targets and credentials, read from the cluster.

Read right before they are used. Pods and Services are of the object's namespace, Secrets as well;
anything else is an endpoint that the operator's own settings name. Nothing else is ever called.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace

from licenseusage.controller.effects.endpoints import EndpointBook, resolve
from licenseusage.controller.effects.kube import Kube
from licenseusage.controller.effects.pods import ready_pods
from licenseusage.controller.effects.secrets import SecretReader
from licenseusage.controller.effects.services import service_address
from licenseusage.controller.rules.resources import CONFIGMAPS, PODS, SECRETS, SERVICES, Dependency
from licenseusage.errors import Failure, UsageError
from licenseusage.reasons import Reason
from licenseusage.sources.definition.auth import OAuth2
from licenseusage.sources.definition.model import EffectiveSource
from licenseusage.sources.definition.place import Pods
from licenseusage.sources.poll import Credentials, Looked, Target, certificate, credentials


@dataclass(frozen=True, slots=True)
class Reach:
    """Where a source is asked, and with what.

    Attributes:
        targets: In the order to try.
        credentials: None: none are sent.
        digest: Of the Secrets used: another one is a reason to try again.
        issuers: Where a token is requested, if that is another server.
        every_pod: As of ``PollRequest``.
    """

    targets: tuple[Target, ...]
    credentials: Credentials | None
    digest: str
    issuers: tuple[Target, ...] = ()
    every_pod: bool = False


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
        every_pod = False
        if source.pods is None:
            name = source.endpoint or ""
            targets = await self._endpoint(namespace, name, read_by=source.read_by)
        else:
            targets, every_pod = await self._places(namespace, source.pods, selector)
        sent_credentials = await self._credentials(namespace, source)
        issuers = await self._issuers(namespace, source)
        digest = await self.digest(namespace, source)
        return Reach(targets, sent_credentials, digest, issuers, every_pod)

    async def _credentials(self, namespace: str, source: EffectiveSource) -> Credentials | None:
        sent = None
        if source.auth is not None:
            values, where = await self._secret(namespace, source.auth.secret_name)
            sent = credentials(source.auth, values, where)
        if source.client_certificate is not None:
            values, where = await self._secret(namespace, source.client_certificate)
            sent = replace(sent or Credentials(), certificate=certificate(values, where))
        return sent

    async def _secret(self, namespace: str, name: str) -> tuple[Mapping[str, bytes], str]:
        """Return the values of a Secret that was made to be sent, and its name for messages."""
        data = await self.reader.credentials(namespace, name, _loop_s())
        return data.values, f"Secret {namespace}/{name}"

    async def look(self, namespace: str, source: EffectiveSource, selector: str) -> Looked:
        """Find out again where an object's source is asked, for a poll under way."""
        try:
            reach = await self.reach(namespace, source, selector)
        except UsageError as error:
            return Looked(failure=Failure.of(error))
        return Looked(
            reach.targets, reach.credentials, issuers=reach.issuers, every_pod=reach.every_pod
        )

    def depends(
        self, namespace: str, source: EffectiveSource, selector: str, problem: Failure
    ) -> frozenset[Dependency]:
        """Return what would have to change for a source that could not be reached."""
        issuer = _issuer_of(source)
        services = {
            Dependency(SERVICES, namespace, pods.service)
            for pods in (source.pods, issuer.service if issuer else None)
            if pods is not None and pods.service is not None
        }
        if problem.reason in _OF_PLACES:
            if source.pods is None or source.pods.service is not None:
                return frozenset(services)
            return frozenset({Dependency(PODS, namespace, selector=selector), *services})
        book = Dependency(CONFIGMAPS, self.endpoints.namespace, self.endpoints.configmap)
        if source.pods is None:
            return frozenset({book})
        books = {book} if issuer is not None and issuer.endpoint is not None else set()
        secrets = {Dependency(SECRETS, namespace, name) for name in _secrets_of(source)}
        return frozenset(secrets | books)

    async def _places(
        self, namespace: str, pods: Pods, selector: str
    ) -> tuple[tuple[Target, ...], bool]:
        """Return where pods or a Service are, and whether these are all pods that are selected."""
        allowed, every_pod = self.loopback_allowed, False
        if pods.service is not None:
            addresses = [
                await service_address(
                    self.kube, namespace, pods.service, pods.port, loopback_allowed=allowed
                )
            ]
        else:
            addresses, every_pod = await ready_pods(
                self.kube, namespace, selector, pods.port, loopback_allowed=allowed
            )
        ca = None
        if pods.ca is not None:
            ca = await self.reader.certificates(namespace, pods.ca.name, pods.ca.key, _loop_s())
        name = pods.server_name
        if pods.service is not None and name is None:
            name = f"{pods.service}.{namespace}.svc"
        targets = tuple(
            Target(
                host=address.host,
                port=address.port,
                scheme=pods.scheme,
                label=address.pod,
                ready_ms=address.ready_ms,
                ca_pem=ca,
                server_name=name,
                host_header=pods.host_header,
            )
            for address in addresses
        )
        return targets, every_pod

    async def _issuers(self, namespace: str, source: EffectiveSource) -> tuple[Target, ...]:
        """Find the server that issues tokens: by the same rules as the product's."""
        issuer = _issuer_of(source)
        if issuer is None:
            return ()
        try:
            if issuer.service is not None:
                return (await self._places(namespace, issuer.service, ""))[0]
            return await self._endpoint(namespace, issuer.endpoint or "", read_by="http")
        except UsageError as error:
            text = error.message.replace("sources[].service", "sources[].auth.oauth2.service")
            raise type(error)(error.reason, text) from None

    async def _endpoint(self, namespace: str, name: str, *, read_by: str) -> tuple[Target, ...]:
        self.reader.forget(self.endpoints.namespace)
        endpoint = await self.endpoints.find(
            self.reader, namespace, name, read_by=read_by, loop_s=_loop_s()
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
        digests = [
            (await self.reader.read(SECRETS, namespace, name, _loop_s())).digest()
            for name in sorted(_secrets_of(source))
        ]
        return "+".join(digests)


def _issuer_of(source: EffectiveSource) -> OAuth2 | None:
    """Return the declaration of a server that issues tokens and is not the product's."""
    return source.auth if isinstance(source.auth, OAuth2) and source.auth.elsewhere else None


def _secrets_of(source: EffectiveSource) -> set[str]:
    """Return the names of the Secrets that a source uses."""
    issuer = _issuer_of(source)
    authorities = {
        pods.ca.name
        for pods in (source.pods, issuer.service if issuer else None)
        if pods is not None and pods.ca is not None
    }
    sent = {source.auth.secret_name} if source.auth is not None else set()
    return authorities | sent | {name for name in (source.client_certificate,) if name}


def _loop_s() -> float:
    return asyncio.get_running_loop().time()
