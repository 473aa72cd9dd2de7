"""Who calls the intake: a pod, by the service account token that was projected into it.

The API server says whose token it is (TokenReview), and for which audience it was issued: a token
for another service proves nothing here. Answers are remembered for a minute under a digest of the
token; the token itself is kept nowhere and is in no message.
"""

import asyncio
import base64
import binascii
import hashlib
from collections import OrderedDict
from dataclasses import dataclass, field

import msgspec

from licenseusage.controller.effects.kube import ForbiddenError, Kube, KubeError
from licenseusage.controller.rules.pushes import Caller
from licenseusage.controller.rules.resources import TOKEN_REVIEWS
from licenseusage.errors import Retryable, Stalled, UsageError
from licenseusage.reasons import Reason

KEEP_SECONDS = 60.0
REFUSED_SECONDS = 10.0
_KEPT = 10_000
_AT_A_TIME = 4
_LONGEST = 16 * 1024
_FAILURES = 20  # refused tokens of one address, before it has to wait
_FAILURE_SECONDS = 60.0
_PREFIX = "system:serviceaccount:"


class _Claims(msgspec.Struct):
    aud: str | list[str] = msgspec.field(default_factory=list)


@dataclass(slots=True)
class _Known:
    """What is known of one token: whose it is, or why it was refused, and until when."""

    caller: Caller | UsageError
    until_s: float


@dataclass(slots=True)
class _Refusals:
    """How often an address was refused lately."""

    count: int = 0
    until_s: float = 0.0


@dataclass(slots=True)
class Callers:
    """Tells whose tokens these are.

    Attributes:
        problem: Why the API server cannot be asked; None: it can, as far as is known.
    """

    kube: Kube
    audience: str
    problem: UsageError | None = None
    _known: OrderedDict[bytes, _Known] = field(default_factory=OrderedDict)
    _refused: OrderedDict[str, _Refusals] = field(default_factory=OrderedDict)
    _asking: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_A_TIME))

    async def caller(self, token: str, address: str) -> Caller:
        """Return whose token this is.

        Args:
            token: As sent.
            address: Where it came from: who guesses tokens keeps nobody else waiting.

        Raises:
            Stalled: ``PushTokenRefused``.
            Retryable: ``PushTooFast``; ``IntakeUnavailable``: the API server cannot be asked.
        """
        now_s = asyncio.get_running_loop().time()
        digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        known = self._known.get(digest)
        if known is None or known.until_s <= now_s:
            self._slow_down(address, now_s)
            known = await self._review(token, digest)
        if isinstance(known.caller, UsageError):
            self._note_refusal(address, now_s)
            raise known.caller.with_traceback(None)
        return known.caller

    async def _review(self, token: str, digest: bytes) -> _Known:
        loop = asyncio.get_running_loop()
        if not self._plausible(token):
            return _Known(_refusal(self.audience), loop.time())
        async with self._asking:
            known = self._known.get(digest)
            if known is not None and known.until_s > loop.time():
                return known  # somebody else has asked meanwhile
            try:
                review = await self.kube.create(TOKEN_REVIEWS, None, _review(token, self.audience))
            except KubeError as error:
                self.problem = _unavailable(error)
                raise self.problem from None
        self.problem = None
        caller = _caller(review.get("status"), self.audience)
        keep = KEEP_SECONDS
        if caller is None:
            keep = REFUSED_SECONDS
        known = _Known(caller or _refusal(self.audience), loop.time() + keep)
        self._known[digest] = known
        self._known.move_to_end(digest)
        while len(self._known) > _KEPT:
            self._known.popitem(last=False)
        return known

    def _plausible(self, token: str) -> bool:
        """Whether the token says that it is for this audience: others need no question."""
        parts = token.split(".")
        if len(token) > _LONGEST or len(parts) != 3:
            return False
        try:
            raw = base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))
            audiences = msgspec.json.decode(raw, type=_Claims).aud
        except (ValueError, binascii.Error, msgspec.MsgspecError, RecursionError):
            return False
        return self.audience in ([audiences] if isinstance(audiences, str) else audiences)

    def _slow_down(self, address: str, now_s: float) -> None:
        refused = self._refused.get(address)
        if refused is not None and refused.until_s > now_s and refused.count >= _FAILURES:
            raise Retryable(
                Reason.PUSH_TOO_FAST,
                f"{refused.count} tokens of this address were refused lately: wait a minute",
            )

    def _note_refusal(self, address: str, now_s: float) -> None:
        refused = self._refused.setdefault(address, _Refusals())
        if refused.until_s <= now_s:
            refused.count, refused.until_s = 0, now_s + _FAILURE_SECONDS
        refused.count += 1
        self._refused.move_to_end(address)
        while len(self._refused) > _KEPT:
            self._refused.popitem(last=False)


def _review(token: str, audience: str) -> dict[str, object]:
    return {
        "apiVersion": TOKEN_REVIEWS.api_version,
        "kind": "TokenReview",
        "metadata": {},
        "spec": {"token": token, "audiences": [audience]},
    }


def _caller(status: object, audience: str) -> Caller | None:
    """Return the service account of a review; None: the token is not good here."""
    if not isinstance(status, dict):
        return None
    audiences, user = status.get("audiences"), status.get("user")
    # An API server that does not know audiences answers with none: then nothing is proved.
    if status.get("authenticated") is not True or not isinstance(audiences, list):
        return None
    name = user.get("username") if isinstance(user, dict) else None
    if audience not in audiences or not isinstance(name, str) or not name.startswith(_PREFIX):
        return None
    namespace, _, account = name.removeprefix(_PREFIX).partition(":")
    return Caller(namespace, account) if namespace and account else None


def _refusal(audience: str) -> Stalled:
    return Stalled(
        Reason.PUSH_TOKEN_REFUSED,
        f"the token is not a valid service account token for the audience {audience}: project one "
        "into the pod (volumes.projected.sources.serviceAccountToken.audience), and read its file "
        "for each request, because it is renewed",
    )


def _unavailable(error: KubeError) -> UsageError:
    if isinstance(error, ForbiddenError):
        return Stalled(
            Reason.INTAKE_UNAVAILABLE,
            "The operator may not create tokenreviews, so that the intake takes nothing: apply "
            "manifests/components/intake.",
        )
    return Retryable(Reason.INTAKE_UNAVAILABLE, f"The intake takes nothing: {error}.")
