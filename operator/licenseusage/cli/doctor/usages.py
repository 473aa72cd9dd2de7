"""Each LicenseUsage: its conditions, its licence, and the delivery of its reports. Pure."""

from collections.abc import Iterator
from datetime import UTC, datetime

from licenseusage.cli.doctor.facts import Facts, Unseen, conditions, named
from licenseusage.cli.doctor.findings import Finding, Level
from licenseusage.cli.doctor.installation import samples
from licenseusage.cli.doctor.names import Manifest
from licenseusage.controller.rules.metricbook import LICENSE_EXPIRY
from licenseusage.reasons import Reason
from licenseusage.reasons.book import BOOK

_ABNORMAL = ("Reconciling", "Stalled")
"""True is the bad news; of all others, False is."""
_SERIOUS = ("Ready", "Stalled", "GuaranteesHold", "CountedOnce")
_DAY_S = 86_400
_DAYS_LEFT = (1, 7, 30)
"""A licence that ends within so many days is worth a word."""


def usages(facts: Facts) -> Iterator[Finding]:
    """Look at the conditions of all LicenseUsages."""
    if isinstance(facts.usages, Unseen):
        fix = "Ask for the ClusterRole licenseusage-view (a part of view)."
        yield facts.usages.finding("conditions", "LicenseUsages", fix)
        return
    if not facts.usages:
        fix = "Create one for each product: docs/install.md."
        seen = "there is none: nothing is counted"
        yield Finding("conditions", "LicenseUsages", Level.WARNING, seen, fix)
    for usage in facts.usages:
        yield from _conditions(facts, usage)
        if "license" in usage["spec"]:
            yield _license(facts, usage)
            yield _delivery(usage, facts.now_s)


def _conditions(facts: Facts, usage: Manifest) -> Iterator[Finding]:
    about = f"LicenseUsage {named(usage)}"
    watched = facts.names.namespaces
    if watched and usage["metadata"].get("namespace") not in watched:
        seen = f"the operator watches other namespaces only ({', '.join(watched)})"
        fix = "Add its namespace to LICENSEUSAGE_NAMESPACES, or delete it."
        yield Finding("conditions", about, Level.WARNING, seen, fix)
        return
    status = usage.get("status") or {}
    generation = usage["metadata"].get("generation", 0)
    if status.get("observedGeneration", -1) != generation:
        seen = (
            f"the operator has seen generation {status.get('observedGeneration', -1)} of "
            f"{generation}"
        )
        fix = "Wait a minute. If it stays: does the operator run, and may it watch LicenseUsages?"
        yield Finding("conditions", about, Level.BAD, seen, fix)
    unwell = [_condition(about, item) for item in conditions(usage) if _bad(item)]
    yield from unwell
    if not unwell and any(True for _ in conditions(usage)):
        text = status.get("activeText") or "no number yet"
        yield Finding("conditions", about, Level.GOOD, f"all are good; active: {text}")


def _bad(condition: Manifest) -> bool:
    if condition["type"] in _ABNORMAL:
        return bool(condition["status"] == "True")
    return bool(condition["status"] != "True")


def _condition(about: str, condition: Manifest) -> Finding:
    kind, status = condition["type"], condition["status"]
    level = Level.BAD if kind in _SERIOUS and status != "Unknown" else Level.WARNING
    seen = f"{kind}={status} {condition.get('reason')}: {condition.get('message', '')}"
    return Finding("conditions", about, level, seen, _fix(str(condition.get("reason"))))


def _fix(word: str) -> str:
    try:
        return BOOK[Reason(word)].fix
    except ValueError:
        return "Another version of the operator wrote this reason; see its docs/reasons.md."


def _license(facts: Facts, usage: Manifest) -> Finding:
    about, namespace = f"LicenseUsage {named(usage)}", usage["metadata"].get("namespace")
    licensed = next((item for item in conditions(usage) if item["type"] == "Licensed"), None)
    if licensed is None or licensed["status"] != "True":
        word = str(licensed.get("reason")) if licensed else "not looked at yet"
        fix = _fix(word) if licensed else "Wait a minute, and see whether the operator runs."
        return Finding("licence", about, Level.BAD, f"it is not valid: {word}", fix)
    if isinstance(facts.metrics, Unseen):
        why = f"it is valid; until when is told by the metrics only: {facts.metrics.why}"
        return Finding("licence", about, Level.UNSEEN, why)
    labels = {"usage_namespace": namespace, "usage": usage["metadata"]["name"]}
    until = next(
        (
            value
            for _, of, value in samples(facts, LICENSE_EXPIRY.name)
            if labels.items() <= dict(of).items()
        ),
        None,
    )
    if until is None:
        why = "it is valid; the metrics do not tell until when"
        return Finding("licence", about, Level.UNSEEN, why)
    left = (until - facts.now_s) / _DAY_S
    seen = f"it is valid until {datetime.fromtimestamp(until, UTC):%Y-%m-%dT%H:%M:%SZ}"
    soon = next((days for days in _DAYS_LEFT if left <= days), None)
    if soon is None:
        return Finding("licence", about, Level.GOOD, seen)
    level = Level.BAD if soon == _DAYS_LEFT[0] else Level.WARNING
    fix = "Ask the vendor for a renewed licence, and replace it in its Secret."
    return Finding("licence", about, level, f"{seen}: {max(0, int(left))} day(s) left", fix)


def _delivery(usage: Manifest, now_s: float) -> Finding:
    about, status = f"LicenseUsage {named(usage)}", usage.get("status") or {}
    last, reported = status.get("lastReport") or {}, None
    for item in conditions(usage):
        reported = item if item["type"] == "Reported" else reported
    accepted = last.get("acceptedTime")
    ago = f"the vendor accepted the last report at {accepted}" if accepted else "none was accepted"
    if reported is None:
        return Finding("delivery", about, Level.GOOD, "no report was due yet")
    if reported["status"] == "True":
        return Finding("delivery", about, Level.GOOD, ago)
    since = str(reported.get("lastTransitionTime") or "")
    seen = f"{reported.get('reason')}{_late(since, now_s)}; {ago}"
    level = Level.BAD if reported["status"] == "False" else Level.WARNING
    return Finding("delivery", about, level, seen, _fix(str(reported.get("reason"))))


def _late(since: str, now_s: float) -> str:
    try:
        begun = datetime.fromisoformat(since).timestamp()
    except ValueError:
        return ""
    return f" for {max(0, int(now_s - begun)) // 3600} h"


def operator_clock(facts: Facts) -> Iterator[Finding]:
    """Say what the operator tells about its clock: it compares it with the API server's."""
    if isinstance(facts.usages, Unseen) or not facts.usages:
        return
    for usage in facts.usages:
        for item in conditions(usage):
            if item.get("reason") == Reason.CLOCK_SKEWED:
                seen, fix = str(item.get("message", "")), BOOK[Reason.CLOCK_SKEWED].fix
                yield Finding("clock", "operator", Level.BAD, seen, fix)
                return
    seen = "it tells no difference from the API server's clock"
    yield Finding("clock", "operator", Level.GOOD, seen)
