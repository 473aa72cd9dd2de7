"""Secrets and ConfigMaps that objects refer to: read by name, remembered for less than a minute.

Never listed, never watched, never from another namespace than the one the caller names; values
never appear in a message.

Whoever may create a LicenseUsage must not be able to read Secrets by it. So a Secret is sent to a
product only if it was made for that (`SecretReader.credentials`). A licence is used if the vendor's
signature verifies, and of an authority's Secret only certificates are, which are public.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from licenseusage.controller.effects.dependencies import ABSENT, FORBIDDEN
from licenseusage.controller.effects.kube import ForbiddenError, Kube, NotFoundError, version_of
from licenseusage.controller.effects.refusals import explained
from licenseusage.controller.rules.resources import CONFIGMAPS, SECRETS, Dependency, Resource
from licenseusage.errors import Stalled
from licenseusage.reasons import Reason
from licenseusage.sources.definition.shipped import LABEL

KEEP_SECONDS = 25.0
"""Shorter than the time between two looks, so that a change is noticed within a minute."""
KEEP_BYTES = 8 * 1024 * 1024
"""Of all values together: whoever may create objects can name each Secret of a namespace."""
CREDENTIALS = "licenseusage.dev/credentials"
"""Type of a Secret that may be sent to a product; as a label, ``"true"`` for Secrets of others."""
_CERTIFICATE = re.compile(
    rb"-----BEGIN ((?:X509 |TRUSTED )?CERTIFICATE)-----[A-Za-z0-9+/=\s]*-----END \1-----"
)


@dataclass(frozen=True, slots=True)
class Data:
    """The bytes of one Secret or ConfigMap, by key.

    Attributes:
        values: The bytes.
        credentials: Whether it is a Secret that was made to be sent to a product.
        presets: Whether it is a ConfigMap that was made to hold presets.
    """

    values: Mapping[str, bytes] = field(repr=False)
    credentials: bool = False
    presets: bool = False

    @property
    def size(self) -> int:
        """Bytes of all values."""
        return sum(map(len, self.values.values()))

    def digest(self) -> str:
        """Identify the content: a changed credential makes retries due at once."""
        digest = hashlib.sha256()
        for name in sorted(self.values):
            for part in (name.encode(), self.values[name]):
                digest.update(len(part).to_bytes(8, "big") + part)
        return digest.hexdigest()


class SecretReader:
    """Reads and remembers; one for the operator."""

    def __init__(
        self,
        kube: Kube,
        own: Collection[tuple[str, str]] = (),
        saw: Callable[[Dependency, str], None] = lambda _dependency, _version: None,
    ) -> None:
        """Read through ``kube``.

        Args:
            kube: The cluster.
            own: Namespace and name of what belongs to the operator itself: its own Role permits it,
                not a collector's.
            saw: Takes what was read and in which version (`dependencies.version`).
        """
        self._kube, self._own, self._saw = kube, frozenset(own), saw
        self._kept: dict[tuple[Resource, str, str], tuple[float, Data]] = {}

    async def secret(self, namespace: str, name: str, key: str, loop_s: float) -> bytes:
        """Return one key of a Secret of ``namespace``.

        ``loop_s`` is monotonic seconds, for the memory.

        Raises:
            Stalled: ``SecretNotFound``, ``SecretKeyMissing`` or ``Forbidden``: with the fix.
            Retryable: ``APIUnavailable``: the API server does not answer.
        """
        data = await self.read(SECRETS, namespace, name, loop_s)
        return _key_of("Secret", namespace, name, key, data)

    async def credentials(self, namespace: str, name: str, loop_s: float) -> Data:
        """Return a Secret that was made to be sent to a product, by its type or its label.

        Raises:
            Stalled: ``SecretNotCredentials``: it was not; else as `secret`.
            Retryable: ``APIUnavailable``.
        """
        data = await self.read(SECRETS, namespace, name, loop_s)
        if not data.credentials:
            raise Stalled(
                Reason.SECRET_NOT_CREDENTIALS,
                f"Secret {namespace}/{name} was not made for this, so it is not sent to the "
                f"product. Whoever it belongs to permits it: kubectl label secret {name} "
                f"--namespace={namespace} {CREDENTIALS}=true",
            )
        return data

    async def certificates(self, namespace: str, name: str, key: str, loop_s: float) -> str:
        """Return the PEM certificates in one key of a Secret and nothing else of it; "": none.

        Raises:
            Stalled: As `secret`.
            Retryable: ``APIUnavailable``.
        """
        raw = await self.secret(namespace, name, key, loop_s)
        certificates = (match.group() for match in _CERTIFICATE.finditer(raw))
        return "".join(f"{certificate.decode('ascii')}\n" for certificate in certificates)

    async def configmap(self, namespace: str, name: str, key: str, loop_s: float) -> bytes:
        """Return one key of a ConfigMap; raises as `secret`, reasons ``ConfigMap…``."""
        data = await self.read(CONFIGMAPS, namespace, name, loop_s)
        return _key_of("ConfigMap", namespace, name, key, data)

    async def preset(self, namespace: str, name: str, key: str, loop_s: float) -> bytes:
        """Return one key of a ConfigMap that was made to hold presets, by its label.

        Raises:
            Stalled: ``ConfigMapNotPreset``: it was not; else as `configmap`.
            Retryable: ``APIUnavailable``.
        """
        data = await self.read(CONFIGMAPS, namespace, name, loop_s)
        if not data.presets:
            raise Stalled(
                Reason.CONFIGMAP_NOT_PRESET,
                f"ConfigMap {namespace}/{name} was not made to hold presets. Whoever it belongs to "
                f"permits it: kubectl label configmap {name} --namespace={namespace} {LABEL}=true",
            )
        return _key_of("ConfigMap", namespace, name, key, data)

    def forget(self, namespace: str) -> None:
        """Read everything of a namespace anew: an administrator asked, or a poll was refused."""
        self._kept = {k: v for k, v in self._kept.items() if k[1] != namespace}

    def forget_old(self, loop_s: float) -> None:
        """Keep nothing for longer than `KEEP_SECONDS`, also while nobody reads."""
        self._kept = {k: v for k, v in self._kept.items() if loop_s - v[0] < KEEP_SECONDS}

    async def read(self, resource: Resource, namespace: str, name: str, loop_s: float) -> Data:
        """Return the whole object's data; raises as `secret`."""
        kept = self._kept.get((resource, namespace, name))
        if kept is not None and loop_s - kept[0] < KEEP_SECONDS:
            return kept[1]
        kind = "Secret" if resource is SECRETS else "ConfigMap"
        gone = Stalled(
            Reason.SECRET_NOT_FOUND if resource is SECRETS else Reason.CONFIGMAP_NOT_FOUND,
            f"{kind} {namespace}/{name} does not exist; create it in namespace {namespace}.",
        )
        own = (namespace, name) in self._own
        with explained(namespace, f"{kind} {namespace}/{name}", missing=gone, own=own):
            raw = await self._get(resource, namespace, name)
        if resource is SECRETS:
            values = {k: _decoded(v) for k, v in (raw.get("data") or {}).items()}
        else:
            values = {k: v.encode() for k, v in (raw.get("data") or {}).items()}
        labels = raw["metadata"].get("labels") or {}
        data = Data(
            values,
            credentials=resource is SECRETS and _made_to_be_sent(raw),
            presets=resource is CONFIGMAPS and labels.get(LABEL) == "true",
        )
        self._keep((resource, namespace, name), data, loop_s)
        return data

    async def _get(self, resource: Resource, namespace: str, name: str) -> dict[str, Any]:
        dependency = Dependency(resource, namespace, name)
        try:
            raw = await self._kube.get(resource, namespace, name)
        except NotFoundError:
            self._saw(dependency, ABSENT)
            raise
        except ForbiddenError:
            self._saw(dependency, FORBIDDEN)
            raise
        self._saw(dependency, version_of(raw))
        return raw

    @property
    def kept_bytes(self) -> int:
        """How much is remembered now."""
        return sum(data.size for _, data in self._kept.values())

    def _keep(self, name: tuple[Resource, str, str], data: Data, loop_s: float) -> None:
        """Remember what was read; forget what is over, and the oldest while it is too much."""
        self._kept.pop(name, None)
        self.forget_old(loop_s)
        self._kept[name] = (loop_s, data)
        total = self.kept_bytes
        while total > KEEP_BYTES:
            oldest = next(iter(self._kept))
            total -= self._kept.pop(oldest)[1].size


def _key_of(kind: str, namespace: str, name: str, key: str, data: Data) -> bytes:
    value = data.values.get(key)
    if value is None:
        # Which keys it has is not told: it may be anybody's.
        raise Stalled(
            Reason.SECRET_KEY_MISSING if kind == "Secret" else Reason.CONFIGMAP_KEY_MISSING,
            f"{kind} {namespace}/{name} has no key {key!r}; add it.",
        )
    return value


def _made_to_be_sent(secret: Mapping[str, Any]) -> bool:
    labels = secret["metadata"].get("labels") or {}
    return secret.get("type") == CREDENTIALS or labels.get(CREDENTIALS) == "true"


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""
