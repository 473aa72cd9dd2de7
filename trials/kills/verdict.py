"""Whether what is left is what it has to be. Pure: evidence in, violations out."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from licenseusage.ledger.documents.records import Delivery, ReportKind
from licenseusage.ledger.records import CycleState
from licenseusage.metering.cycles import CYCLE_MASK
from licenseusage.reports.content import Kind
from licenseusage.reports.keychain import verify_keys
from licenseusage.reports.keys import InstallationKeys
from licenseusage.reports.licence import LicenseTerms, read_license
from licenseusage.reports.names import digest
from licenseusage.reports.receipt import ReceiptVerdict, Sent
from licenseusage.reports.refused import Refused
from licenseusage.reports.report import Report, read_report
from licenseusage.reports.tokens import decode
from licenseusage.reports.typs import ENROLMENT, REPORT, SUCCESSION
from trials.kills.evidence import Counted, Evidence
from trials.kills.journal import Committed
from trials.kills.people import DAY
from trials.kills.vendor import Stored
from trials.proof import contradiction, verified_chain

_EXPECTED_FINDINGS: Final = frozenset({"CoverageIncomplete", "Restored"})
"""An operator that is dead half of the time has gaps, and an old ledger was restored; both are
said. Nothing else may be found."""
_INTERIM_OBJECTS: Final = 3


@dataclass(frozen=True, slots=True)
class Judged:
    """The verdict.

    Attributes:
        cycles: Cycles that have ended, of all objects.
        finals: Final reports that the vendor has accepted.
        interims: Interim reports likewise.
        amendments: Amendments likewise.
        accuracies: Accuracy of the finals -> how many.
        violations: What must not be; empty: everything holds.
    """

    cycles: int
    finals: int
    interims: int
    amendments: int
    accuracies: Counter[str]
    violations: tuple[str, ...]


def judge(evidence: Evidence, committed: Committed) -> Judged:
    """Judge what is left against the truth and against what was committed."""
    violations = [f"logged as a defect: {defect}" for defect in evidence.defects]
    for stored in evidence.stored:
        if stored.verdict != ReceiptVerdict.ACCEPTED:
            violations.append(f"the vendor answered {stored.verdict} to {stored.chain_id}")
    chains, enrolled, bad = _verified(evidence)
    violations += bad
    restated = _restated(evidence, committed)
    cycles, kinds, accuracies = 0, Counter[Kind](), Counter[str]()
    for counted in evidence.counted:
        reports = chains.get(counted.name, ())
        ended = _ended(counted, evidence.now_s)
        finals = [r for r in reports if r.content.kind is Kind.FINAL]
        cycles += len(ended)
        kinds.update(r.content.kind for r in reports)
        accuracies.update(r.content.accuracy for r in finals)
        for violation in (
            *_one_final_each(counted, finals, ended),
            *_numbers(counted, reports),
            *_kept(counted, reports, committed, restated),
            *_ledger_and_vendor(counted, reports),
            *_objects(counted),
            *_status(counted, reports),
        ):
            violations.append(f"{counted.name}: {violation}")
    violations += _signed_once(evidence, committed)
    if len(enrolled) > 1:
        violations.append(f"{len(enrolled)} installations have enrolled")
    keys = {r.content.pseudonym_key_id for reports in chains.values() for r in reports}
    if len(keys) > 1:
        violations.append(f"users were counted under {len(keys)} pseudonym keys")
    return Judged(
        cycles=cycles,
        finals=kinds[Kind.FINAL],
        interims=kinds[Kind.INTERIM],
        amendments=kinds[Kind.AMENDMENT],
        accuracies=accuracies,
        violations=tuple(violations),
    )


# -- the vendor's side


def _verified(evidence: Evidence) -> tuple[dict[str, tuple[Report, ...]], set[str], list[str]]:
    """Verify every document in the vendor's store; return the reports by object's name."""
    violations: list[str] = []
    keys: dict[str, tuple[InstallationKeys, LicenseTerms]] = {}
    statements: dict[str, list[str]] = {}
    for stored in sorted(evidence.stored, key=lambda stored: stored.sequence):
        if stored.typ in (ENROLMENT, SUCCESSION):
            statements.setdefault(stored.chain_id, []).append(stored.token)
    for tokens in statements.values():
        _, claims = decode(tokens[0])
        subscription = str(claims["sub"])
        if subscription in keys:
            violations.append(f"{subscription} was enrolled twice")
        enrolled = verify_keys(tokens, evidence.vendor_keys, now_s=evidence.now_s)
        terms: LicenseTerms = read_license(claims["license"], evidence.vendor_keys)
        keys[subscription] = enrolled, terms
    chains: dict[str, list[Stored]] = {}
    for stored in evidence.stored:
        if stored.typ == REPORT:
            chains.setdefault(stored.chain_id, []).append(stored)
    reports: dict[str, tuple[Report, ...]] = {}
    for chain_id, documents in chains.items():
        sent = Sent.from_token(documents[0].token)
        installation, license_ = keys[sent.subscription]
        try:
            chain = verified_chain(
                documents,
                license_=license_,
                keys=installation,
                vendor_keys=evidence.vendor_keys,
                now_s=evidence.now_s,
            )
        except Refused as refused:
            violations.append(f"chain {chain_id} is broken: {refused.reason}: {refused.message}")
            continue
        name = chain.envelopes[0].name
        if name in reports:
            violations.append(f"{name} has two chains")
        reports[name] = chain.reports
        for finding in sorted(set(chain.findings) - _EXPECTED_FINDINGS):
            violations.append(f"{name}: the chain has the finding {finding}")
    installations = {key.installation for enrolled, _ in keys.values() for key in enrolled.values()}
    return reports, installations, violations


# -- one object


def _ended(counted: Counted, now_s: int) -> list[int]:
    """Return the indices of the cycles that must have a final report."""
    if not counted.cycles:
        return []
    first = counted.cycles[0].cycle
    return list(range(first.index, first.index + (now_s - first.start_ms // 1000) // DAY))


def _one_final_each(
    counted: Counted, finals: Sequence[Report], ended: Sequence[int]
) -> Iterator[str]:
    counts = Counter(final.content.cycle.index for final in finals)
    for index in ended:
        if counts[index] != 1:
            yield f"cycle {index} has {counts[index]} accepted finals"
    for index in counts.keys() - set(ended):
        yield f"cycle {index} has a final and has not ended"
    states = {record.cycle.index: record.state for record in counted.cycles}
    for index in ended:
        if states.get(index) is not CycleState.FINAL:
            yield f"cycle {index} is {states.get(index)} in the ledger"


def _numbers(counted: Counted, reports: Sequence[Report]) -> Iterator[str]:
    """Bounds hold the truth, Exact is the truth, and who was counted stays counted."""
    lowest: dict[int, int] = {}
    for report in reports:
        content = report.content
        cycle, lower, upper = (
            content.cycle,
            content.active_users,
            content.active_users_upper_bound,
        )
        what = f"{content.kind} {report.envelope.sequence} of cycle {cycle.index}"
        truth = counted.people.active(cycle.start_s, cycle.as_of_s)
        wrong = contradiction(str(content.accuracy), lower, upper, truth)
        if wrong is not None:
            yield f"{what} {wrong}"
        if (lower or 0) < lowest.get(cycle.index, 0):
            yield f"{what} says {lower}, an earlier report said {lowest[cycle.index]}"
        lowest[cycle.index] = max(lowest.get(cycle.index, 0), lower or 0)
        for day, number in enumerate(content.daily_active_users or ()):
            start = cycle.start_s + day * DAY
            if number is not None and number > counted.people.active(start, start + DAY):
                yield f"{what} says {number} for day {day}"


def _kept(
    counted: Counted,
    reports: Sequence[Report],
    committed: Committed,
    restated: Collection[tuple[str, int]] = (),
) -> Iterator[str]:
    """A decision stands as it was committed, and holds every fact committed before it.

    A final is dated with its decision, or with the report in front of it, if that is later.
    """
    finals = {r.content.cycle.start_s * 1000: r for r in reports if r.content.kind is Kind.FINAL}
    dated = {r.envelope.sequence: r.envelope.issued_at_s for r in reports}
    for (name, start_ms), decisions in committed.decided.items():
        if name != counted.name or (name, start_ms) in restated:
            continue
        if len(decisions) != 1:
            yield f"the cycle of {start_ms} was decided {len(decisions)} times, differently"
        final, first = finals.get(start_ms), decisions[0]
        if final is None:
            continue  # told by others
        numbers = (final.content.active_users, final.content.active_users_upper_bound)
        at_s = max(first.at_ms // 1000, dated.get(final.envelope.sequence - 1, 0))
        if (final.envelope.issued_at_s, numbers) != (at_s, tuple(first[1:])):
            yield (
                f"cycle {final.content.cycle.index} was decided as {first}, its final says "
                f"{numbers} at {final.envelope.issued_at_s}"
            )
    for (name, start_ms), users in committed.before.items():
        final = finals.get(start_ms)
        if name != counted.name or final is None or (name, start_ms) in restated:
            continue
        proved = sum(bool(word & CYCLE_MASK) for word in users.values())
        if (final.content.active_users or 0) < proved:
            yield (
                f"cycle {final.content.cycle.index}: {proved} users were committed as active, its "
                f"final says {final.content.active_users}"
            )


def _restated(evidence: Evidence, committed: Committed) -> set[tuple[str, int]]:
    """Return the cycles, by object and start (ms), whose finals persons went on without."""
    restated = set()
    for token in _given_way(evidence, committed):
        report = read_report(token)
        if report.content.kind is Kind.FINAL:
            restated.add((report.envelope.name, report.content.cycle.start_s * 1000))
    return restated


def _given_way(evidence: Evidence, committed: Committed) -> set[str]:
    """Return what a restore took out of the ledger, and a person went on without (§11).

    The consent names exactly these: the ledger sets aside what is known to exist and is not in the
    history of the head that was named.
    """
    aside = evidence.set_aside | committed.set_aside
    there = {stored.token for stored in evidence.stored}
    return {token for token in committed.replaced - there if digest(token) in aside}


def _ledger_and_vendor(counted: Counted, reports: Sequence[Report]) -> Iterator[str]:
    in_ledger = [(report.sequence, report.token) for report in counted.reports]
    there = [(report.envelope.sequence, report.envelope.token) for report in reports]
    if [sequence for sequence, _ in in_ledger] != list(range(1, len(in_ledger) + 1)):
        yield "the ledger's chain has a gap"
    if in_ledger != there:
        counts = f"{len(in_ledger)} reports and the vendor {len(there)}"
        yield f"the ledger holds {counts}, or other bytes"
    for report in counted.reports:
        if report.state is not Delivery.ACCEPTED:
            yield f"report {report.sequence} is {report.state} in the ledger: {report.reason}"


def _objects(counted: Counted) -> Iterator[str]:
    """UsageReports say what the ledger says: every final, and the newest interims."""
    wanted = {report.sequence: report for report in counted.reports}
    shown = {report["spec"]["sequence"]: report for report in counted.objects}
    if len(shown) != len(counted.objects):
        yield "two UsageReports have one sequence"
    for sequence, item in wanted.items():
        resource = shown.get(sequence)
        if resource is None:
            if item.kind is not ReportKind.INTERIM:
                yield f"UsageReport {sequence} ({item.kind}) is missing"
            continue
        delivery = (resource.get("status") or {}).get("delivery")
        if (resource["spec"]["token"], delivery) != (item.token, str(item.state)):
            yield f"UsageReport {sequence} shows another token, or {delivery}"
    interims = [report for report in counted.objects if report["spec"]["kind"] == "Interim"]
    if len(interims) > _INTERIM_OBJECTS:
        yield f"{len(interims)} interims are left as objects"
    for sequence in shown.keys() - wanted.keys():
        yield f"UsageReport {sequence} is unknown to the ledger"


def _status(counted: Counted, reports: Sequence[Report]) -> Iterator[str]:
    """The history in the status says what the finals say, or their last amendments.

    A cycle with an amendment is ``Amended``, every other one ``Final``.
    """
    values = {
        report.content.cycle.index: report.content
        for report in sorted(reports, key=lambda report: report.envelope.sequence)
        if report.content.kind is not Kind.INTERIM
    }
    history = {entry["index"]: entry for entry in counted.status.get("history", ())}
    if values and not history:
        yield "the status has no history"
    for content in [values[index] for index in sorted(values)[-len(history) :]] if history else []:
        shown = history.get(content.cycle.index, {})
        numbers = (shown.get("activeUsers"), shown.get("activeUsersUpperBound"))
        if numbers != (content.active_users, content.active_users_upper_bound):
            yield f"the status says {numbers} for cycle {content.cycle.index}"
        state = "Amended" if content.kind is Kind.AMENDMENT else "Final"
        if shown.get("state") != state:
            yield (
                f"the status says {shown.get('state')} for cycle {content.cycle.index}, which is "
                f"{state}"
            )


def _signed_once(evidence: Evidence, committed: Committed) -> list[str]:
    """Say which positions of a chain were signed differently, or are not at the vendor as signed.

    What was signed stands (REPORT_FORMAT §11). A position may be signed anew in two cases only:

    * Every ledger that held the document is lost for good, with those that restores had replaced
      and nobody has merged, and the vendor does not hold it. If a UsageReport shows it, a person
      has named another head of its chain.
    * A restore took the document out of the ledger, a person has named a head without it, the
      ledger has set exactly this document aside for that, and the vendor does not hold it.
    """
    there = {Sent.from_token(stored.token).subject.jti: stored.token for stored in evidence.stored}
    adopted, given_way = evidence.adopted | committed.adopted, _given_way(evidence, committed)
    violations = []
    for jti, tokens in committed.signed.items():
        final = there.get(jti)
        if final is not None and any(
            committed.given_up.get(token) for token in tokens if token != final
        ):
            consented = Sent.from_token(final).chain_id in adopted
            if not consented:
                violations.append(f"document {jti} was given up, and nobody has consented to it")
        left = [
            token for token in tokens if token not in committed.given_up and token not in given_way
        ]
        if len(left) > 1:
            violations.append(f"document {jti} was signed {len(left)} times, differently")
        if left and left[0] != final:
            violations.append(
                f"document {jti}: the vendor has other bytes than were committed first"
            )
    return violations
