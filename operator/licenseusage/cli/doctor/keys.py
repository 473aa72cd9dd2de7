"""The operator's keys and the vendor's: whether they are there, backed up, and at rest. Pure."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from licenseusage.cli.doctor.facts import Facts, Unseen
from licenseusage.cli.doctor.findings import Finding, Level
from licenseusage.controller.rules.keystatus import STATUS_MEMBER
from licenseusage.controller.settings import EXPORT

JWKS_MEMBER = "jwks.json"
_LOST = "kubectl licenseusage keys import keys.age; without a backup: docs/keys.md"
_EXPORT = "kubectl licenseusage keys export -o keys.age"


def keys(facts: Facts) -> Iterator[Finding]:
    """Look at the Secrets' names, and at what the operator publishes about its keys."""
    names = facts.names
    if isinstance(facts.secrets, Unseen):
        fix = "Ask for the right to get Secrets there; their content is not read."
        yield facts.secrets.finding("keys", f"Secrets of {facts.namespace}", fix)
    else:
        for name in (names.identity, names.pseudonym):
            about = f"Secret {facts.namespace}/{name}"
            if name in facts.secrets:
                yield Finding("keys", about, Level.GOOD, "it is there")
            else:
                seen = "it is not there; the operator makes it at a first start only"
                yield Finding("keys", about, Level.BAD, seen, _LOST)
    yield from _published(facts)


def _published(facts: Facts) -> Iterator[Finding]:
    about = f"ConfigMap {facts.namespace}/{facts.names.statements}"
    there = facts.configmaps.get(facts.names.statements)
    if isinstance(there, Unseen):
        yield there.finding("keys", about)
        return
    status = _json((there or {}).get("data") or {}, STATUS_MEMBER)
    if status is None:
        # The operator writes it after its first licence: before, nothing is signed.
        if not licensed(facts):
            seen = "nothing was signed: no LicenseUsage has a licence"
            yield Finding("keys", about, Level.GOOD, seen)
            return
        seen = "the operator has published nothing about its keys: no licence was valid yet"
        yield Finding("keys", about, Level.WARNING, seen, "Create the licence's Secret.")
        return
    for member in ("identity", "pseudonym"):
        if not status.get(member):
            seen = f"the operator cannot read its {member} key"
            yield Finding("keys", about, Level.BAD, seen, _LOST)
    yield _backup(facts, status, about)
    identity = status.get("identity") or {}
    if identity.get("nextKeyId"):
        seen = f"a rotation ({identity.get('rotation') or 'no reason'}) is under way"
        fix = "It ends when the vendor has receipted it: kubectl licenseusage keys status"
        yield Finding("rotation", about, Level.WARNING, seen, fix)
    else:
        yield Finding("rotation", about, Level.GOOD, "no rotation is under way")


def _backup(facts: Facts, status: Mapping[str, Any], about: str) -> Finding:
    exported = status.get("exportTime")
    if exported:
        return Finding("key backup", about, Level.GOOD, f"these keys were exported at {exported}")
    if facts.names.backup != EXPORT:
        seen = f"not exported; the settings say that keys are backed up {facts.names.backup}"
        return Finding("key backup", about, Level.GOOD, seen)
    return Finding("key backup", about, Level.WARNING, "these keys were never exported", _EXPORT)


def vendor_keys(facts: Facts) -> Iterator[Finding]:
    """Look whether the vendor's public keys are there, where an object has a licence."""
    about = f"ConfigMap {facts.namespace}/{facts.names.vendor_keys}"
    there = facts.configmaps.get(facts.names.vendor_keys)
    if isinstance(there, Unseen):
        yield there.finding("vendor keys", about)
        return
    jwks = _json((there or {}).get("data") or {}, JWKS_MEMBER)
    known = [item for item in (jwks or {}).get("keys") or () if isinstance(item, dict)]
    fix = "Apply the ConfigMap that the vendor has sent (docs/install.md, step 2)."
    if known:
        yield Finding("vendor keys", about, Level.GOOD, f"{len(known)} key(s)")
    elif not licensed(facts):
        seen = "not there; no LicenseUsage has a licence, so none is needed"
        yield Finding("vendor keys", about, Level.GOOD, seen)
    elif there is None:
        yield Finding("vendor keys", about, Level.BAD, "it is not there", fix)
    else:
        yield Finding("vendor keys", about, Level.BAD, f"its {JWKS_MEMBER} has no key", fix)


def licensed(facts: Facts) -> bool:
    """Whether a LicenseUsage has a licence, or may have one that could not be seen."""
    if isinstance(facts.usages, Unseen):
        return True
    return any("license" in item["spec"] for item in facts.usages)


def _json(data: Mapping[str, Any], member: str) -> dict[str, Any] | None:
    try:
        value = json.loads(data.get(member) or "")
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
