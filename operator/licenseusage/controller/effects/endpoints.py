"""Servers outside of an object's namespace: only those that the operator's own settings name.

They stand in a ConfigMap of the operator's namespace, one key each, and say which namespaces may
name them. So whoever may create a LicenseUsage cannot choose what is called, and nobody's
credentials go anywhere that an administrator of the operator has not written down.
"""

import asyncio
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import yaml

from licenseusage.api.pods import HOST_NAME
from licenseusage.controller.effects.secrets import SecretReader
from licenseusage.controller.rules.addresses import never_called
from licenseusage.controller.rules.resources import CONFIGMAPS
from licenseusage.errors import Retryable, Stalled
from licenseusage.reasons import Reason
from licenseusage.sources.definition.place import SCHEMES, Scheme

_ADDRESS = re.compile(rf"(?P<host>\[[0-9a-fA-F:.]+\]|{HOST_NAME}):(?P<port>[0-9]{{1,5}})")
_RESOLVE_SECONDS = 10.0


class Endpoint(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """One entry of the ConfigMap.

    Attributes:
        address: ``host:port``; the host as DNS knows it, or an IP address.
        scheme: ``HTTP`` or ``HTTPS``; for event logs ``NATS``, ``REDIS`` or ``TLS``.
        namespaces: Those whose objects may name it.
        ca: PEM of the certificate authority; None: the system's.
        server_name: The name in the certificate; None: the host.
    """

    address: str
    scheme: Scheme
    namespaces: tuple[str, ...]
    ca: str | None = None
    server_name: str | None = None

    @property
    def host_port(self) -> tuple[str, int]:
        """Host and port; raises ``ValueError`` where the address is something else."""
        match = _ADDRESS.fullmatch(self.address)
        if match is None or not 1 <= int(match["port"]) <= 65_535:
            raise ValueError(self.address)
        return match["host"].strip("[]"), int(match["port"])


@dataclass(frozen=True, slots=True)
class EndpointBook:
    """Where the operator's settings keep the endpoints."""

    namespace: str
    configmap: str

    async def find(
        self, reader: SecretReader, namespace: str, name: str, *, read_by: str, loop_s: float
    ) -> Endpoint:
        """Return an endpoint that objects of ``namespace`` may name.

        Args:
            reader: Reads ConfigMaps.
            namespace: The object's.
            name: What its source calls the endpoint.
            read_by: The field that says how it is read.
            loop_s: Monotonic seconds, for the reader's memory.

        Raises:
            Stalled: ``EndpointNotAllowed``: there is none of that name for this namespace; which
                others there are, and for whom, is not told. ``EndpointInvalid``, ``Forbidden``.
            Retryable: ``APIUnavailable``.
        """
        where = f"ConfigMap {self.namespace}/{self.configmap}"
        try:
            data = await reader.read(CONFIGMAPS, self.namespace, self.configmap, loop_s)
        except Stalled as error:
            if error.reason != Reason.CONFIGMAP_NOT_FOUND:
                raise
            raise self._not_allowed(namespace, name) from None
        if name not in data.values:
            raise self._not_allowed(namespace, name)
        try:
            endpoint = msgspec.convert(yaml.safe_load(data.values[name]), Endpoint)
        except (yaml.YAMLError, msgspec.ValidationError, RecursionError):
            raise _invalid(
                where,
                name,
                "cannot be read: it holds address, scheme and namespaces, and perhaps ca and "
                "serverName",
            ) from None
        if namespace not in endpoint.namespaces:
            raise self._not_allowed(namespace, name)
        try:
            endpoint.host_port  # noqa: B018 - it raises
        except ValueError:
            raise _invalid(where, name, "needs an address such as nats.nats.svc:4222") from None
        if endpoint.server_name is not None and not re.fullmatch(HOST_NAME, endpoint.server_name):
            raise _invalid(where, name, "needs a serverName such as nats.example.org, or none")
        fitting = SCHEMES[read_by]
        if endpoint.scheme not in fitting:
            raise _invalid(
                where,
                name,
                f"has the scheme {endpoint.scheme}: {read_by} takes {' or '.join(fitting)}",
            )
        return endpoint

    def _not_allowed(self, namespace: str, name: str) -> Stalled:
        return Stalled(
            Reason.ENDPOINT_NOT_ALLOWED,
            f"The operator's settings name no endpoint {name!r} for namespace {namespace}. An "
            f"administrator of the operator adds it to ConfigMap {self.namespace}/"
            f"{self.configmap}, key {name}, with {namespace} among its namespaces.",
        )


async def resolve(endpoint: Endpoint, name: str, *, loopback_allowed: bool) -> Sequence[str]:
    """Return the addresses of an endpoint's host, in the order in which to try them.

    Raises:
        Retryable: ``EndpointUnresolved``, or ``AddressRefused``: all of them are never called.
    """
    host, port = endpoint.host_port
    try:
        async with asyncio.timeout(_RESOLVE_SECONDS):
            entries = await asyncio.get_running_loop().getaddrinfo(
                host, port, type=socket.SOCK_STREAM
            )
    except (OSError, TimeoutError, UnicodeError):
        raise Retryable(
            Reason.ENDPOINT_UNRESOLVED,
            f"The host {host} of endpoint {name} has no address. Check its name, and whether the "
            "operator's NetworkPolicy lets it ask the cluster's DNS.",
        ) from None
    addresses = dict.fromkeys(str(entry[4][0]) for entry in entries)
    good = [a for a in addresses if not never_called(a, loopback_allowed=loopback_allowed)]
    if not good:
        raise Retryable(
            Reason.ADDRESS_REFUSED,
            f"The host {host} of endpoint {name} has a loopback or link-local address, which is "
            "never called. Name the server's own address.",
        )
    return good


def _invalid(where: str, name: str, why: str) -> Stalled:
    return Stalled(Reason.ENDPOINT_INVALID, f"{where}, key {name}: the endpoint {why}.")
