"""The licence step: Secret -> verified terms -> ledger (DESIGN §5, REPORT_FORMAT §3).

A bad licence never stops counting: the last verified terms, kept in the ledger, apply until there
are others. What is wrong with the licence that is there now is the condition ``Licensed``.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import date

from licenseusage.api.licenseusage import LicenseUsage
from licenseusage.api.model import rfc3339
from licenseusage.controller.effects.gatherer import Works
from licenseusage.controller.effects.secrets import SecretReader
from licenseusage.controller.rules.conditions import Status, Verdict
from licenseusage.errors import Failure, Stalled, UsageError
from licenseusage.ledger.records import Meter, Subscribed
from licenseusage.metering.cycles import Cycle, Terms, cycle_at, seen_before
from licenseusage.reasons import Reason
from licenseusage.reports.intake import Expected, accept_license, still_applies, unpacked
from licenseusage.reports.keyring import KeyRing
from licenseusage.reports.keys import VendorKeys
from licenseusage.reports.licence import License, Subscription, stored_license
from licenseusage.reports.refused import Refused
from licenseusage.reports.tokens import decode

VENDOR_KEYS = "jwks.json"
_WAITS = (Reason.LICENSE_NOT_YET_VALID, Reason.ISSUED_IN_FUTURE)


@dataclass(frozen=True, slots=True)
class Licensing:
    """What applies.

    Attributes:
        meter: The meter with its grids; without grids there is no cycle to count in.
        license: The last verified licence; None with ``spec.cycle``, or before any was valid.
        verdict: The condition ``Licensed``; None with ``spec.cycle``.
        maximum: Contracted maximum of active users in the cycle that runs; None: none.
    """

    meter: Meter
    license: License | None
    verdict: Verdict | None
    maximum: int | None

    def expires_ms(self, now_ms: int) -> int | None:
        """Return when the licence that applies is valid no more; None: it is not, or there is none.

        A second later: then it is refused by whole seconds, too.
        """
        if self.license is None:
            return None
        at_ms = 1000 * (self.license.expires_s + 1)
        return at_ms if at_ms > now_ms else None

    def maximum_in(self, cycle: Cycle) -> int | None:
        """Return the contracted maximum of a cycle, which may have begun under another licence."""
        token = self.meter.license_of(cycle)
        if token is not None:
            return stored_license(token).maximum_active_users
        return self.maximum if self.license is None else self.license.maximum_active_users


@dataclass(frozen=True, slots=True)
class VendorKeysRef:
    """The ConfigMap with the vendor's keys, in the operator's namespace."""

    namespace: str
    name: str

    @property
    def named(self) -> str:
        """The ConfigMap, for messages."""
        return f"ConfigMap {self.namespace}/{self.name}"

    async def read(self, reader: SecretReader, loop_s: float) -> VendorKeys:
        """Return the pinned keys.

        Raises:
            Stalled: ``VendorKeysNotFound`` or ``VendorKeysInvalid``.
            UsageError: They cannot be read now.
        """
        try:
            raw = await reader.configmap(self.namespace, self.name, VENDOR_KEYS, loop_s)
        except Stalled as error:
            if error.reason == Reason.FORBIDDEN_BY_CLUSTER:
                raise
            raise Stalled(
                Reason.VENDOR_KEYS_NOT_FOUND,
                f"{self.named} with the vendor's public keys "
                f"({VENDOR_KEYS}) does not exist; install it from the vendor's manifests.",
            ) from None
        source = f"{self.named}, key {VENDOR_KEYS}"
        return VendorKeys.from_jwks(raw.decode("utf-8", "replace"), source=source)


async def step(
    usage: LicenseUsage,
    meter: Meter,
    books: Works,
    reader: SecretReader,
    vendor: VendorKeysRef,
    *,
    ring: KeyRing | None,
    reported_from_ms: Callable[[License], Awaitable[int | None]],
    now_ms: int,
    loop_s: float,
) -> Licensing:
    """Verify the licence, or take ``spec.cycle``, and keep terms that are new.

    Args:
        usage: The object.
        meter: Its meter, with the terms so far.
        books: The ledger.
        reader: Reads the licence's Secret and the vendor's keys.
        vendor: Where the vendor's keys are.
        ring: Our keys, for licences bound to one; None: not known now.
        reported_from_ms: Returns the start of the first cycle reported under a licence, ms.
        now_ms: The reconcile's one time.
        loop_s: For the reader's memory.

    Raises:
        UsageError: The ledger cannot be written, or ``spec.cycle`` is not possible.
    """
    if usage.spec.license is None:
        terms = spec_terms(usage)
        if not meter.grids or meter.grids[-1].terms != terms or meter.license_token:
            meter = await books.do(lambda ledger: ledger.keep_terms(meter.id, terms, now_ms))
        return Licensing(meter, None, None, usage.spec.maximum_active_users)

    known = stored_license(meter.license_token) if meter.license_token else None
    ref = usage.spec.license.secret_ref
    where = f"the licence in Secret {usage.metadata.namespace}/{ref.name}, key {ref.key}"
    try:
        raw = await _token(reader, usage.metadata.namespace, ref.name, ref.key, loop_s)
        asked = Expected(
            now_s=now_ms // 1000,
            keys_from=vendor.named,
            product=usage.spec.product,
            installation=None if ring is None else _known_as(ring, raw),
            previous=Subscription(known.subscription, known.cycle) if known else None,
        )
        license_, terms = accept_license(raw, await vendor.read(reader, loop_s), asked)
    except UsageError as error:
        verdict = _refusal(error, where, meter)
        return unread(meter, verdict, now_ms)
    if known is None or known.digest != license_.digest:
        seen_ms = now_ms
        if meter.grids and license_.contract not in meter.licenses:
            seen_ms = seen_before(meter.grids, await reported_from_ms(license_), now_ms)
        meter = await books.do(
            lambda ledger: ledger.keep_terms(
                meter.id,
                terms,
                seen_ms,
                licensed=Subscribed(license_.contract, license_.token),
            )
        )
    verdict = Verdict(
        Status.TRUE,
        Reason.LICENSE_VALID,
        f"Licence {license_.license_id} of {license_.vendor} for product {license_.product} is "
        f"valid until {_day(1000 * license_.expires_s)}.{_coming(meter, now_ms)}",
    )
    return Licensing(meter, license_, verdict, _maximum(meter, license_, now_ms))


def unread(meter: Meter, verdict: Verdict, now_ms: int) -> Licensing:
    """Return what applies where the licence could not be looked at: the last verified one."""
    known = stored_license(meter.license_token) if meter.license_token else None
    return Licensing(meter, known, verdict, _maximum(meter, known, now_ms))


def spec_terms(usage: LicenseUsage) -> Terms:
    """Return the terms of ``spec.cycle``.

    Raises:
        Stalled: ``InvalidSpec`` or ``CycleUnsupported``.
    """
    cycle = usage.spec.cycle
    if cycle is None:
        raise Stalled(
            Reason.INVALID_SPEC,
            f"LicenseUsage {usage.key} has neither spec.license nor spec.cycle; give one of them.",
        )
    try:
        anchor = date.fromisoformat(cycle.anchor_date[:10])
    except ValueError:
        raise Stalled(
            Reason.INVALID_SPEC,
            f"LicenseUsage {usage.key}: spec.cycle.anchorDate must be a day like 2026-01-15.",
        ) from None
    return Terms(anchor, cycle.length_days, cycle.length_months)


def _maximum(meter: Meter, license_: License | None, now_ms: int) -> int | None:
    """Return the contracted maximum of the cycle that runs, which may have begun under another."""
    cycle = cycle_at(meter.grids, now_ms)
    token = None if cycle is None else meter.license_of(cycle)
    belongs = license_ if token is None else stored_license(token)
    return None if belongs is None else belongs.maximum_active_users


def _coming(meter: Meter, now_ms: int) -> str:
    """Say since when a licence applies that came while a cycle of another one runs."""
    first = meter.grids[-1].first()
    if len(meter.grids) == 1 or first.start_ms <= now_ms:
        return ""
    return (
        f" Its first cycle begins on {_day(first.start_ms)}; a cycle that runs until then is "
        f"reported under the licence before."
    )


def _day(at_ms: int) -> str:
    return rfc3339(at_ms)[:10]


async def _token(reader: SecretReader, namespace: str, name: str, key: str, loop_s: float) -> bytes:
    try:
        return await reader.secret(namespace, name, key, loop_s)
    except Stalled as error:
        if error.reason == Reason.FORBIDDEN_BY_CLUSTER:
            raise
        absent = error.reason is Reason.SECRET_NOT_FOUND
        seen = (
            f"does not exist; create it with key {key}" if absent else f"has no key {key}; add it"
        )
        raise Stalled(
            Reason.LICENSE_NOT_FOUND,
            f"Secret {namespace}/{name} {seen}: the licence, exactly as the vendor sent it.",
        ) from None


def _known_as(ring: KeyRing, raw: bytes) -> str:
    """Return the id that a licence's subscription knows us by; the licence is not verified yet."""
    try:
        _, claims = decode(unpacked(raw))
    except Refused:
        return ring.current.installation
    return ring.installation(str(claims.get("iss")), str(claims.get("sub")))


def _refusal(error: UsageError, where: str, meter: Meter) -> Verdict:
    effect = still_applies(meter.license_token) or (
        " The cycles until now apply until then; counting goes on."
        if meter.grids
        else " Nothing can be counted before a first licence is valid."
    )
    if isinstance(error, Refused):
        waits = error.error in _WAITS
        message = f"{where[0].upper()}{where[1:]} is refused: {error.message}.{effect}"
        return Verdict(Status.FALSE, error.reason, message, needs_a_person=not waits)
    failed = Verdict.failed(Failure.of(error))
    return Verdict(Status.FALSE, failed.reason, failed.message + effect, failed.needs_a_person)
