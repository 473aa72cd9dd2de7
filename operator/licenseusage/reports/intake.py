"""Reading a licence from mail, clipboard or a Secret: one function for all readers.

What mail programs, editors and shells put around a token is taken away, since the signature proves
what is left. A refusal says what was seen and what to do.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from licenseusage.metering.cycles import Terms
from licenseusage.reasons import Reason
from licenseusage.reports.keys import VendorKey
from licenseusage.reports.licence import (
    License,
    Subscription,
    check_for_operator,
    read_license,
    stored_license,
    verify_license,
)
from licenseusage.reports.refused import Refused
from licenseusage.reports.terms import CycleTerms
from licenseusage.reports.tokens import decode
from licenseusage.reports.typs import LICENSE, THUMBPRINT_URI

_BYTE_ORDER_MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
_KEYS_NAMED = 4


@dataclass(frozen=True, slots=True)
class Expected:
    """The values that a licence must match.

    Attributes:
        now_s: The time, seconds since 1970 UTC.
        keys_from: Where the pinned keys are from, for messages.
        product: The product that is metered; None: not compared.
        product_from: What says so, for messages.
        installation: Our installation id; None: not compared.
        previous: The terms in force until now, if any.
    """

    now_s: int
    keys_from: str
    product: str | None = None
    product_from: str = "spec.product"
    installation: str | None = None
    previous: Subscription | None = None


def unpacked(raw: bytes) -> str:
    """Return the token that a file or the member of a Secret carries.

    A byte order mark, UTF-16 (a shell's ``>``), white space and line ends anywhere (mail folds
    lines), quotes around and lines that begin with ``#`` are no part of it. Anything else is.

    Raises:
        Refused: ``MalformedToken``: it is not text, or there is nothing.
    """
    encoding = _BYTE_ORDER_MARKS.get(raw[:2], "utf-8-sig")
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError:
        raise Refused(
            Reason.MALFORMED_TOKEN, words=f"it is not text but {len(raw)} bytes"
        ) from None
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    token = "".join("".join(lines).split()).strip("\"'")
    if not token:
        raise Refused(Reason.MALFORMED_TOKEN, words="it is empty")
    return token


def accept_license(
    raw: bytes, vendor_keys: Mapping[str, VendorKey], asked: Expected
) -> tuple[License, Terms]:
    """Verify a licence as it was brought, and that this operator can meter its cycles.

    Raises:
        Refused: as ``verify_license`` and ``check_for_operator``, with what was seen and the fix.
    """
    token = unpacked(raw)
    try:
        license_ = verify_license(
            token,
            vendor_keys,
            now_s=asked.now_s,
            product=asked.product,
            installation=asked.installation,
            previous=asked.previous,
        )
        return license_, check_for_operator(license_)
    except Refused as refusal:
        words = _words(refusal, token, vendor_keys, asked)
        raise Refused(refusal.error, words=words) from None


def _words(
    refusal: Refused, token: str, vendor_keys: Mapping[str, VendorKey], asked: Expected
) -> str:
    """Say what was seen and what to do. What is not signed is not repeated, but a key's name."""
    error = refusal.error
    if error in (
        Reason.MALFORMED_TOKEN,
        Reason.MALFORMED_JSON,
        Reason.TOO_LARGE,
        Reason.UNSUPPORTED_TYPE,
    ):
        return (
            f"{_form(error, token)}. A licence is one line that begins with eyJ and has two dots "
            f"in it: put it there as the vendor sent it"
        )
    if error == Reason.SIGNATURE_INVALID:
        return (
            "its signature does not fit: the text was cut or altered on its way. Take it anew from "
            "what the vendor sent"
        )
    if error in (Reason.KEY_UNKNOWN, Reason.KEY_NOT_PERMITTED, Reason.KEY_REVOKED):
        return _about_key(error, token, vendor_keys, asked)
    try:
        license_ = read_license(token, vendor_keys)
    except Refused:
        return f"{refusal.message}. Ask the vendor to issue it anew"
    return _about(error, license_, asked) or refusal.message


def _form(error: str, token: str) -> str:
    if error == Reason.UNSUPPORTED_TYPE:
        return f"it is another document than a licence ({LICENSE})"
    if error == Reason.TOO_LARGE:
        return f"it has {len(token)} characters, which no licence has"
    if token.rstrip("=") != token:
        return "it ends with '=', which no token does"
    return f"it is no token: it has {len(token)} characters and, of dots, {token.count('.')}"


def _about_key(
    error: str, token: str, vendor_keys: Mapping[str, VendorKey], asked: Expected
) -> str:
    kid = str(decode(token)[0].get("kid"))
    named = f"key {kid}" if re.fullmatch("[A-Za-z0-9_-]{43}", kid) else "a key without a name"
    if error == Reason.KEY_UNKNOWN:
        names = [name for name, key in vendor_keys.items() if key.permits(LICENSE)]
        shown = ", ".join(names[:_KEYS_NAMED]) or "none"
        more = f" and {len(names) - _KEYS_NAMED} more" if len(names) > _KEYS_NAMED else ""
        return (
            f"it is signed with {named}, and {asked.keys_from} holds of keys for licences "
            f"{shown}{more}. Install the vendor's current keys, or ask whose licence this is"
        )
    if error == Reason.KEY_REVOKED:
        return f"it is signed with {named}, which was revoked. Ask the vendor for a new licence"
    return (
        f"it is signed with {named}, which may not sign licences. Tell the vendor: it is not the "
        f"licence key"
    )


def _about(error: str, license_: License, asked: Expected) -> str | None:
    """Say what a licence whose signature is right says, and why it cannot apply."""
    name = f"licence {license_.license_id}"
    ask = f"Ask {license_.vendor} for"
    match error:
        case Reason.LICENSE_MISMATCH:
            return (
                f"{name} is for product {license_.product}; {asked.product_from} is "
                f"{asked.product}. {ask} a licence of {asked.product}"
            )
        case Reason.LICENSE_EXPIRED:
            return f"{name} expired on {_time(license_.expires_s)}. {ask} a new one"
        case Reason.LICENSE_NOT_YET_VALID:
            return (
                f"{name} is valid from {_time(license_.not_before_s)} on, in "
                f"{_roughly(license_.not_before_s - asked.now_s)} by this cluster's clock; it "
                f"applies by itself then"
            )
        case Reason.ISSUED_IN_FUTURE:
            return (
                f"{name} was issued at {_time(license_.issued_at_s)}, which is "
                f"{_roughly(license_.issued_at_s - asked.now_s)} ahead of this cluster's clock. If "
                f"that clock is right, the one at {license_.vendor} is ahead; it applies by itself "
                f"once the time has come"
            )
        case Reason.LICENSE_KEY_MISMATCH:
            return (
                f"{name} is bound to installation {THUMBPRINT_URI}{license_.first_key}; this one "
                f"is {asked.installation}. Tell {license_.vendor} this id, or restore the "
                f"identity's Secret that belongs to the licence"
            )
        case Reason.LICENSE_TERMS_CHANGED:
            before = asked.previous.cycle if asked.previous else license_.cycle
            return (
                f"{name} has cycles of {_length(license_.cycle)}, subscription "
                f"{license_.subscription} has {_length(before)}; other cycles need another "
                f"subscription. {ask} a licence with the same cycles, or of a new subscription"
            )
        case Reason.CYCLE_UNSUPPORTED:
            return (
                f"{name} has cycles of {_length(license_.cycle)}; cycles of at most 62 days, or "
                f"two months, can be metered. {ask} a licence with shorter ones"
            )
        case Reason.UNSUPPORTED_VERSION:
            versions = ", ".join(str(version) for version in license_.versions) or "none"
            return (
                f"{name} asks for reports of version {versions}; this operator writes version 1. "
                f"Install the operator that the vendor names"
            )
    return None


def still_applies(token: str | None) -> str:
    """Say which licence applies while another one is refused; empty without one."""
    if token is None:
        return ""
    known = stored_license(token)
    return (
        f" Until then licence {known.license_id} applies (valid until "
        f"{_time(known.expires_s)}, its terms also beyond): counting and reporting go on."
    )


def _length(cycle: CycleTerms) -> str:
    length = f"{cycle.length_days} days" if cycle.length_days else f"{cycle.length_months} months"
    return f"{length} from {cycle.anchor.isoformat()}"


def _time(at_s: int) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _roughly(seconds: int) -> str:
    """Return a span in its largest whole unit: it stands in a condition, and turns seldom."""
    for name, length in (("day", 86_400), ("hour", 3600), ("minute", 60)):
        if seconds >= length:
            count = seconds // length
            return f"{count} {name}{'s' if count != 1 else ''}"
    return "less than a minute"
