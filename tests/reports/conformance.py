"""How a case of vectors.json is put to this package; the tables are REPORT_FORMAT §15's."""

import json
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from licenseusage.receiver.inforce import Register
from licenseusage.reports.bundle import verify_bundle
from licenseusage.reports.chain import verify_chain
from licenseusage.reports.enrolment import verify_enrolment
from licenseusage.reports.keychain import verify_keys
from licenseusage.reports.keys import InstallationKey, PublicKey, VendorKeys
from licenseusage.reports.licence import (
    License,
    Subscription,
    read_license,
    verify_any_license,
    verify_license,
)
from licenseusage.reports.names import Link
from licenseusage.reports.receipt import Sent, Subject, head_notes, verify_receipt
from licenseusage.reports.refused import Refused
from licenseusage.reports.report import verify_report
from licenseusage.reports.succession import verify_succession
from licenseusage.reports.terms import CycleTerms
from licenseusage.reports.tokens import decode

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parent / "vectors" / "vectors.json").read_text()
)
TOKENS: dict[str, str] = VECTORS["tokens"]
VENDOR_KEYS = VendorKeys.from_jwks(json.dumps(VECTORS["context"]["vendorJwks"]))


@dataclass(frozen=True)
class Context:
    """The context of one case: its own members laid over the default ones."""

    raw: dict[str, Any]

    @property
    def now_s(self) -> int:
        return self.raw["now"]

    @property
    def license(self) -> License:
        return read_license(TOKENS[self.raw["license"]], VENDOR_KEYS)

    @property
    def keys(self) -> dict[str, InstallationKey]:
        return {
            kid: InstallationKey(
                PublicKey.from_jwk({name: jwk[name] for name in ("kty", "crv", "x")}),
                jwk["installation"],
                jwk["rank"],
            )
            for kid, jwk in VECTORS["keySets"][self.raw["installationKeys"]].items()
        }

    @property
    def previous(self) -> Subscription | None:
        before = self.raw.get("previousLicense")
        if before is None:
            return None
        cycle = before["cycle"]
        terms = CycleTerms(
            date.fromisoformat(cycle["anchorDate"]),
            cycle.get("lengthDays"),
            cycle.get("lengthMonths"),
        )
        return Subscription(before["sub"], terms)

    @property
    def sent(self) -> Sent:
        local = self.raw["local"]
        return Sent(
            self.license.vendor,
            self.license.subscription,
            self.raw["installation"],
            local["jti"].split("-")[0],
            Subject(local["typ"], local["jti"], local["sequence"], local["digest"]),
        )


def context(case: dict[str, Any]) -> Context:
    return Context({**VECTORS["context"], **case.get("context", {})})


def judge(case: dict[str, Any]) -> tuple[str, list[str] | None]:
    """Return the verdict on a case and, for chains and receipts, the findings or notes."""
    names = case["input"]
    given = [TOKENS[name] for name in names] if isinstance(names, list) else TOKENS[names]
    try:
        return "Valid", _VERIFY[case["verify"]](given, context(case), case)
    except Refused as refusal:
        return refusal.error, None


def _license(token: str, ctx: Context, case: dict[str, Any]) -> None:
    verify_license(
        token,
        VENDOR_KEYS,
        now_s=ctx.now_s,
        product=ctx.raw.get("product"),
        # A case that says nothing of an installation is still judged with the default one.
        installation=ctx.raw.get("installation"),
        previous=ctx.previous,
    )


def _enrolment(token: str, ctx: Context, case: dict[str, Any]) -> None:
    verify_enrolment(
        token,
        VENDOR_KEYS,
        now_s=ctx.now_s,
        product=ctx.raw.get("product"),
        previous=ctx.previous,
    )


def _succession(token: str, ctx: Context, case: dict[str, Any]) -> None:
    verify_succession(token, license_=ctx.license, keys=ctx.keys, now_s=ctx.now_s)


def _keys(tokens: list[str], ctx: Context, case: dict[str, Any]) -> None:
    verify_keys(tokens, VENDOR_KEYS, now_s=ctx.now_s, license_=ctx.license)


def _register(tokens: list[str], ctx: Context, case: dict[str, Any]) -> list[str]:
    *licences, report = tokens
    settled = Subscription(ctx.license.subscription, ctx.license.cycle)
    known: dict[str, License] = {}
    for token in licences:
        one = verify_any_license(token, VENDOR_KEYS, now_s=ctx.now_s, previous=settled)
        if one.license_id not in known or one.issued_at_s > known[one.license_id].issued_at_s:
            known[one.license_id] = one
    claims: Any = decode(report)[1]
    ours = [one for one in known.values() if one.subscription == claims["sub"]]
    named = Register(claims["iss"], ctx.license, ours).named(claims["licenseId"])
    judged_by = named or replace(ctx.license, product=claims["product"])
    verify_report(report, license_=judged_by, keys=ctx.keys, now_s=ctx.now_s)
    return [] if named else ["LicenseUnknown"]


def _report(token: str, ctx: Context, case: dict[str, Any]) -> None:
    verify_report(token, license_=ctx.license, keys=ctx.keys, now_s=ctx.now_s)


def _chain(tokens: list[str], ctx: Context, case: dict[str, Any]) -> list[str]:
    chain = verify_chain(
        tokens,
        license_=ctx.license,
        keys=ctx.keys,
        now_s=ctx.now_s,
        heads=[Link(head["sequence"], head["digest"]) for head in ctx.raw.get("heads", ())],
        rejected=set(ctx.raw.get("rejected", ())),
    )
    return list(chain.findings)


def _receipt(token: str, ctx: Context, case: dict[str, Any]) -> list[str]:
    receipt = verify_receipt(token, VENDOR_KEYS, ctx.sent)
    held = ctx.raw["history"].get(str(receipt.head.sequence)) if receipt.head else None
    return list(head_notes(receipt, own_digest=held, acknowledged=ctx.raw.get("acknowledged", 0)))


def _bundle(data: str, ctx: Context, case: dict[str, Any]) -> None:
    verify_bundle(
        data,
        VENDOR_KEYS,
        license_=ctx.license,
        keys=ctx.keys,
        now_s=ctx.now_s,
        received=[TOKENS[name] for name in ctx.raw.get("held", ())],
    )


_VERIFY = {
    "license": _license,
    "register": _register,
    "enrolment": _enrolment,
    "succession": _succession,
    "keys": _keys,
    "report": _report,
    "chain": _chain,
    "receipt": _receipt,
    "bundle": _bundle,
}
