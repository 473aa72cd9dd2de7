"""The installation's two keys: made on a first start, and never again (DESIGN §9).

A missing Secret is either a first start or a loss, and they must not be confused: a new signing key
is a new installation in the vendor's eyes, a new pseudonym key would count everybody twice. So they
are created only while nothing in the ledger or in the cluster shows that there has been a start.
"""

import asyncio
import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import structlog

from licenseusage.controller.effects.kube import (
    ConflictError,
    ForbiddenError,
    Kube,
    KubeError,
    version_of,
)
from licenseusage.controller.effects.refusals import explained, forbidden_own
from licenseusage.controller.effects.secrets import SecretReader
from licenseusage.controller.rules.keysecrets import (
    EXPORTED,
    NEXT_KEY,
    PRIVATE_KEY,
    PSEUDONYM_KEY,
    REPLACES,
    ROTATE,
    STATEMENTS,
)
from licenseusage.controller.rules.resources import SECRETS, Dependency
from licenseusage.errors import Retryable, Stalled
from licenseusage.metering.pseudonym import KEY_BYTES, key_id
from licenseusage.reasons import Reason
from licenseusage.reports.keyring import KeyRing, KeyStatement
from licenseusage.reports.keys import SigningKey
from licenseusage.reports.refused import Refused

_REASON = re.compile("[A-Z][A-Za-z0-9]{0,63}")
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class PseudonymKey:
    """The customer-held key of the pseudonyms, and its public name.

    Attributes:
        replaces: Id of the key that was lost, if an administrator put this one in its place.
    """

    value: bytes = field(repr=False)
    replaces: str | None = None

    @property
    def id(self) -> str:
        """First 32 hex digits of its keyed hash (REPORT_FORMAT §5)."""
        return key_id(self.value)


@dataclass(frozen=True, slots=True)
class Names:
    """Where the two Secrets are."""

    namespace: str
    identity: str
    pseudonym: str


class Keys:
    """Reads the two Secrets, and makes them on a first start."""

    def __init__(
        self,
        kube: Kube,
        reader: SecretReader,
        names: Names,
        *,
        new_signing_key: Callable[[], SigningKey],
        random_bytes: Callable[[int], bytes],
        wrote: Callable[[Dependency, str], None] = lambda _dependency, _version: None,
    ) -> None:
        """Take what is needed; randomness comes from the entry point.

        ``wrote`` takes what the operator itself has changed, and the version that it has now.
        """
        self._wrote = wrote
        self._kube, self._reader, self._names = kube, reader, names
        self.rotation = asyncio.Lock()
        self._ring: tuple[Mapping[str, bytes], KeyRing] | None = None
        self._new_signing_key, self._random_bytes = new_signing_key, random_bytes

    async def create_if_absent(self, loop_s: float) -> None:
        """Create what is absent; only ever called on a first start.

        Raises:
            UsageError: The API server refuses or does not answer.
        """
        self._reader.forget(self._names.namespace)
        await self._create_unless_there(
            self._names.identity,
            PRIVATE_KEY,
            lambda: self._new_signing_key().to_jwk().encode(),
            loop_s,
        )
        await self._create_unless_there(
            self._names.pseudonym,
            PSEUDONYM_KEY,
            lambda: self._random_bytes(KEY_BYTES),
            loop_s,
        )
        self._reader.forget(self._names.namespace)

    async def signing_key(self, loop_s: float) -> SigningKey:
        """Return the key that signs reports.

        Raises:
            Stalled: ``IdentityLost``: the Secret is gone; ``IdentityInvalid``: it holds no key.
            UsageError: It cannot be read now.
        """
        raw = await self._read(self._names.identity, PRIVATE_KEY, Reason.IDENTITY_LOST, loop_s)
        return self._key_of(PRIVATE_KEY, raw)

    async def ring(self, loop_s: float) -> KeyRing:
        """Return every key that is at hand, and the statements beside them.

        Raises:
            Stalled: ``IdentityLost``: the Secret is gone; ``IdentityInvalid``: it holds no key, or
                something else in a key's place.
            UsageError: It cannot be read now.
        """
        names = self._names
        await self._read(names.identity, PRIVATE_KEY, Reason.IDENTITY_LOST, loop_s)
        data = await self._reader.read(SECRETS, names.namespace, names.identity, loop_s)
        if self._ring is None or self._ring[0] != data.values:
            self._ring = data.values, self._ring_of(data.values)
        return self._ring[1]

    def _ring_of(self, values: Mapping[str, bytes]) -> KeyRing:
        following = values.get(NEXT_KEY)
        wanted = values.get(ROTATE, b"").decode("ascii", "replace").strip() or None
        if wanted is not None and not _REASON.fullmatch(wanted):
            raise Stalled(
                Reason.IDENTITY_INVALID,
                f"Secret {self._named}, key {ROTATE}, is no reason for another key: write "
                f"Scheduled or Suspected, or remove it.",
            )
        return KeyRing(
            current=self._key_of(PRIVATE_KEY, values[PRIVATE_KEY]),
            following=None if following is None else self._key_of(NEXT_KEY, following),
            statements=_lines(values.get(STATEMENTS, b"")),
            wanted=wanted,
            exported=_lines(values.get(EXPORTED, b"")),
        )

    def _key_of(self, member: str, raw: bytes) -> SigningKey:
        try:
            return SigningKey.from_jwk(raw.decode("utf-8", "replace"))
        except Refused as refusal:
            raise Stalled(
                Reason.IDENTITY_INVALID,
                f"Secret {self._named}, key {member}: {refusal.message}. Restore it from a backup.",
            ) from None

    @property
    def _named(self) -> str:
        return f"{self._names.namespace}/{self._names.identity}"

    async def pseudonym_key(self, loop_s: float) -> PseudonymKey:
        """Return the key of the pseudonyms.

        Raises:
            Stalled: ``PseudonymKeyLost`` or ``PseudonymKeyInvalid``.
            UsageError: It cannot be read now.
        """
        raw = await self._read(
            self._names.pseudonym, PSEUDONYM_KEY, Reason.PSEUDONYM_KEY_LOST, loop_s
        )
        if len(raw) != KEY_BYTES:
            raise Stalled(
                Reason.PSEUDONYM_KEY_INVALID,
                f"Secret {self._names.namespace}/{self._names.pseudonym}, key {PSEUDONYM_KEY}, has "
                f"{len(raw)} bytes instead of {KEY_BYTES}. Restore it from a backup.",
            )
        return PseudonymKey(raw, await self._replaces(self._names.pseudonym, loop_s))

    async def replaces(self, loop_s: float) -> str | None:
        """Return the id of the installation that this one takes the place of; None: of none.

        Raises:
            UsageError: The Secret cannot be read.
        """
        return await self._replaces(self._names.identity, loop_s)

    async def statements(self, loop_s: float) -> tuple[str, ...]:
        """Return the key statements that are kept beside the key.

        Raises:
            UsageError: The Secret cannot be read.
        """
        names = self._names
        kept = await self._reader.read(SECRETS, names.namespace, names.identity, loop_s)
        return _lines(kept.values.get(STATEMENTS, b""))

    async def keep_statements(self, statements: tuple[str, ...], loop_s: float) -> None:
        """Keep the statements of one chain beside the key, one a line; those of others stay.

        Who restores the one has the other.

        Raises:
            UsageError: The API server refuses or does not answer.
        """
        if set(statements) <= set(await self.statements(loop_s)):
            return

        def add(values: dict[str, bytes]) -> None:
            values[STATEMENTS] = joined(values.get(STATEMENTS, b""), statements)

        await self.change(add)

    async def add_following(self) -> None:
        """Store a new key beside the current one, if a rotation is wanted and there is none yet.

        Raises:
            UsageError: As `change`.
        """

        def add(values: dict[str, bytes]) -> None:
            if ROTATE in values and NEXT_KEY not in values:
                values[NEXT_KEY] = self._new_signing_key().to_jwk().encode()

        await self.change(add, wakes=True)

    async def complete_rotation(self, ring: KeyRing) -> None:
        """Make the key that follows the current one; the former one is gone then.

        Nothing is changed if the Secret holds other keys than these.

        Raises:
            UsageError: As `change`.
        """

        def complete(values: dict[str, bytes]) -> None:
            if self._ring_of(values).keys == ring.keys and NEXT_KEY in values:
                values[PRIVATE_KEY] = values.pop(NEXT_KEY)
                values.pop(ROTATE, None)

        await self.change(complete, wakes=True)

    async def change(
        self, edit: Callable[[dict[str, bytes]], None], *, wakes: bool = False
    ) -> None:
        """Change the identity's Secret, if nobody else has changed it since it was read.

        Args:
            edit: Changes its members; one that is left out is removed.
            wakes: Every object is to be looked at because of it.

        Raises:
            UsageError: The API server refuses or does not answer, or somebody was first; nothing
                has changed then, and it is tried again. What ``edit`` raises.
        """
        names = self._names
        try:
            secret = await self._kube.get(SECRETS, names.namespace, names.identity)
            data = secret.get("data") or {}
            before = {member: base64.b64decode(value) for member, value in data.items()}
            values = dict(before)
            edit(values)
            if values == before:
                self._reader.forget(names.namespace)
                return
            secret["data"] = {
                member: base64.b64encode(value).decode() for member, value in values.items()
            }
            stored = await self._kube.replace(SECRETS, secret)
        except ForbiddenError as error:
            raise forbidden_own(names.namespace, error) from None
        except KubeError as error:
            raise Retryable(Reason.STATEMENTS_NOT_KEPT, f"{error}; it is tried again.") from None
        if not wakes:
            self._wrote(Dependency(SECRETS, names.namespace, names.identity), version_of(stored))
        self._reader.forget(names.namespace)

    async def _replaces(self, name: str, loop_s: float) -> str | None:
        kept = await self._reader.read(SECRETS, self._names.namespace, name, loop_s)
        return kept.values.get(REPLACES, b"").decode("ascii", "replace").strip() or None

    async def _read(self, name: str, key: str, lost: Reason, loop_s: float) -> bytes:
        try:
            return await self._reader.secret(self._names.namespace, name, key, loop_s)
        except Stalled as error:
            if error.reason == Reason.FORBIDDEN_BY_CLUSTER:
                raise
            missing = error.reason is Reason.SECRET_NOT_FOUND
            seen = "does not exist" if missing else f"has no key {key!r}"
            raise Stalled(
                lost,
                f"Secret {self._names.namespace}/{name} {seen}, although this is not a first "
                f"start: restore it from a backup. It is never replaced silently: a new key would "
                f"be a new installation for the vendor and new pseudonyms for everybody. If there "
                f"is no backup, licenseusage keys new makes another one (docs/operations.md).",
            ) from None

    async def _create_unless_there(
        self, name: str, key: str, make: Callable[[], bytes], loop_s: float
    ) -> None:
        namespace = self._names.namespace
        try:
            await self._reader.secret(namespace, name, key, loop_s)
        except Stalled as error:
            if error.reason != Reason.SECRET_NOT_FOUND:
                raise
        else:
            return
        body = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": name,
                "namespace": namespace,
                "labels": {"app.kubernetes.io/managed-by": "licenseusage-operator"},
            },
            "type": "Opaque",
            "data": {key: base64.b64encode(make()).decode()},
        }
        with explained(namespace, f"Secret {namespace}/{name}", own=True):
            try:
                await self._kube.create(SECRETS, namespace, body)
            except ConflictError:
                return  # somebody else was first; theirs counts
        _log.info("key created on first start", secret=f"{namespace}/{name}")


def joined(kept: bytes, statements: tuple[str, ...]) -> bytes:
    """Return the statements beside a key with those of some chains put in place of what was."""
    chains = {_chain_of(token) for token in statements}
    others = [token for token in _lines(kept) if _chain_of(token) not in chains]
    return "".join(f"{token}\n" for token in (*others, *statements)).encode()


def _lines(text: bytes) -> tuple[str, ...]:
    return tuple(text.decode("ascii", "replace").split())


def _chain_of(token: str) -> str:
    """Return the chain of a key statement; the text itself if it is none."""
    try:
        return KeyStatement.from_token(token).sent.chain_id
    except Refused:
        return token
