"""``licenseusage approve``: let signed reports that wait for a person go to the vendor.

They wait if ``spec.reporting.approval`` is Manual. The command writes an annotation on each
UsageReport by kubectl, with the rights of whoever runs it: the API server's audit log has the name.
The annotation's value is the digest of the document, so that nothing else is approved by it. What
is shown is read from the signed token, not from the readable copies beside it.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

import typer

from licenseusage.api.model import rfc3339
from licenseusage.api.usagereport import report_name
from licenseusage.cli.exits import NOT_OK
from licenseusage.cli.kubectl import ContextOption, KubeconfigOption, Kubectl, NamespaceOption
from licenseusage.cli.output import Output, OutputOption, print_json, print_table
from licenseusage.controller.rules.approval import APPROVED
from licenseusage.errors import Stalled
from licenseusage.ledger.documents.records import Delivery
from licenseusage.reasons import Reason
from licenseusage.reports.content import Content
from licenseusage.reports.inwords import in_words
from licenseusage.reports.names import digest
from licenseusage.reports.refused import Refused
from licenseusage.reports.report import read_report

app = typer.Typer()
ROLE = "licenseusage-approve"
_REPORTS = "usagereports.licenseusage.dev"


class Standing(StrEnum):
    """What an approval means for a report as it is now."""

    WAITS = "Waits"
    APPROVED = "Approved"
    """It is approved already, or does not wait for approval."""
    SETTLED = "Settled"
    """The vendor has it."""
    IMPOSSIBLE = "Impossible"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A UsageReport, and what an approval means for it.

    Attributes:
        name: Of the UsageReport; ``namespace`` likewise.
        standing: What an approval means for it.
        words: Why it is not approved now; empty if it can be.
        digest: Of the token; empty if that is not readable.
        content: What the token states; None if it is not readable.
        usage: Name of the LicenseUsage, as the token says.
        chain_id: Its chain; ``sequence`` its position.
        due: By when the vendor has to have it, RFC 3339; None: nothing is agreed.
    """

    namespace: str
    name: str
    standing: Standing
    words: str = ""
    digest: str = ""
    content: Content | None = None
    usage: str = ""
    chain_id: str = ""
    sequence: int = 0
    due: str | None = None


@app.command()
def approve(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME...]", help="Names of UsageReports; or --all."),
    ] = None,
    *,
    namespace: NamespaceOption = None,
    every: Annotated[
        bool, typer.Option("--all", help="Every report of the namespace that waits for approval.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be approved, and approve nothing.")
    ] = False,
    output: OutputOption = Output.TABLE,
    context: ContextOption = None,
    kubeconfig: KubeconfigOption = None,
) -> None:
    """Approve signed reports, so that they are sent or exported.

    With spec.reporting.approval Manual each report waits for that. The command shows the number
    that each of them states, as it stands in the signed document, and by when the vendor has to
    have it; then it asks. All claims of one: kubectl get usagereport NAME -o yaml | licenseusage
    report show -

    An approval is for exactly that document, and reports of a chain leave in order: one that is
    approved waits for those before it. The operator acts on it within a minute. To take an approval
    back, as long as the report has not left: kubectl annotate usagereport NAME
    licenseusage.dev/approved-

    It takes the right to patch UsageReports (ClusterRole licenseusage-approve), and the API
    server's audit log has your name.

    Exit code 0: every report that was named is approved, or was before. 1: one cannot be approved,
    or you said no. 3: the cluster could not be asked, or a report does not exist.

    Examples:
        kubectl licenseusage approve -n opencloud --all

        kubectl licenseusage approve -n opencloud opencloud-8ee9a1f2-000301 --yes
    """
    if bool(names) == every:
        raise typer.BadParameter("give the names of UsageReports, or --all")
    kubectl = Kubectl(context, kubeconfig)
    listed = kubectl.list(_REPORTS, namespace)
    chosen = choose(listed, None if every else names or [])
    wanted = [each for each in chosen if each.standing is Standing.WAITS]
    table = output is Output.TABLE
    if table:
        _show(wanted)
    for each in chosen:
        if each.standing is not Standing.WAITS and table:
            typer.echo(f"{each.name}: {each.words}", err=each.standing is Standing.IMPOSSIBLE)
    for note in held_up(listed, wanted):
        typer.echo(f"note: {note}", err=True)
    if wanted and not dry_run and not yes:
        _confirm(len(wanted))
    if not dry_run:
        for each in wanted:
            patch = {"metadata": {"annotations": {APPROVED: each.digest}}}
            kubectl.merge(_REPORTS, each.namespace, each.name, patch, role=ROLE)
            if table:
                typer.echo(f"{each.name} approved")
    if not table:
        print_json([_as_json(each, approved=not dry_run) for each in chosen])
    elif every and not chosen:
        typer.echo("No report waits for approval.")
    if any(each.standing is Standing.IMPOSSIBLE for each in chosen):
        raise typer.Exit(NOT_OK)


def choose(listed: Sequence[Mapping[str, Any]], names: Sequence[str] | None) -> list[Candidate]:
    """Return the reports that are meant, by chain and position.

    Args:
        listed: UsageReports as the API server has them.
        names: Which of them; None: those that wait for approval.

    Raises:
        Stalled: ``NoDocument``: there is none of that name.
    """
    if names is None:
        chosen = [
            candidate(each)
            for each in listed
            if (each.get("status") or {}).get("delivery") == Delivery.AWAITING_APPROVAL
        ]
    else:
        known = {each["metadata"]["name"]: each for each in listed}
        missing = [name for name in names if name not in known]
        if missing:
            raise Stalled(
                Reason.NO_DOCUMENT,
                f"There is no UsageReport {', '.join(missing)} in the namespace: kubectl get "
                f"usagereports -A lists all of them (-n names the namespace).",
            )
        chosen = [candidate(known[name]) for name in dict.fromkeys(names)]
    return sorted(chosen, key=lambda each: (each.chain_id, each.sequence, each.name))


def candidate(live: Mapping[str, Any]) -> Candidate:
    """Return what an approval means for a UsageReport."""
    meta, status = live["metadata"], live.get("status") or {}
    namespace, name = str(meta.get("namespace", "")), str(meta["name"])
    token = (live.get("spec") or {}).get("token")
    try:
        report = read_report(str(token))
    except Refused as refused:
        words = f"its token cannot be read ({refused.reason}): ask whoever runs the operator"
        return Candidate(namespace, name, Standing.IMPOSSIBLE, words)
    envelope = report.envelope
    made = Candidate(
        namespace,
        name,
        *_standing(status, digest(str(token)), meta.get("annotations") or {}),
        digest=envelope.digest,
        content=report.content,
        usage=envelope.name,
        chain_id=envelope.chain_id,
        sequence=envelope.sequence,
        due=status.get("approvalDueTime"),
    )
    right = report_name(envelope.name, envelope.chain_id, envelope.sequence)
    if (namespace, name) != (envelope.namespace, right):
        words = f"its token is that of {envelope.namespace}/{right}: the operator did not make it"
        return Candidate(namespace, name, Standing.IMPOSSIBLE, words)
    return made


def held_up(listed: Sequence[Mapping[str, Any]], wanted: Sequence[Candidate]) -> list[str]:
    """Return what holds up the reports that are about to be approved: others, before them."""
    notes = []
    waiting = choose(listed, None)
    approved = {each.name for each in wanted}
    for chain_id in dict.fromkeys(each.chain_id for each in wanted):
        last = max(each.sequence for each in wanted if each.chain_id == chain_id)
        before = [
            each.name
            for each in waiting
            if each.chain_id == chain_id
            and each.sequence < last
            and each.name not in approved
            and each.standing is Standing.WAITS
        ]
        if before:
            notes.append(
                f"reports leave in order: {', '.join(before)} of the same chain must be approved, "
                f"too, before what comes after"
            )
    return notes


def _standing(
    status: Mapping[str, Any], own: str, annotations: Mapping[str, Any]
) -> tuple[Standing, str]:
    delivery = status.get("delivery")
    if delivery == Delivery.AWAITING_APPROVAL:
        if annotations.get(APPROVED) == own:
            return Standing.APPROVED, "is approved; the operator acts on it within a minute"
        return Standing.WAITS, ""
    if delivery == Delivery.ACCEPTED:
        at = f" on {status['acceptedTime']}" if "acceptedTime" in status else ""
        return Standing.SETTLED, f"the vendor accepted it{at}: nothing is left to approve"
    if delivery in (Delivery.PENDING, Delivery.SENDING):
        return Standing.APPROVED, "does not wait for approval: it is on its way"
    if delivery in (Delivery.REJECTED, Delivery.CONFLICT):
        words = f"the vendor refused it ({status.get('reason', delivery)}): it was sent before"
        return Standing.IMPOSSIBLE, words
    return Standing.IMPOSSIBLE, "the operator has not looked at it yet: try again in a minute"


def _show(wanted: Sequence[Candidate]) -> None:
    if not wanted:
        return
    rows = [
        (each.name, each.content.kind.value.capitalize(), _cycle(each.content), _due(each))
        for each in wanted
        if each.content is not None
    ]
    print_table(["USAGEREPORT", "KIND", "CYCLE", "DUE"], rows)
    for each in wanted:
        if each.content is not None:
            typer.echo(f"{each.name} states: {in_words(each.content)} active users{_more(each)}")


def _more(each: Candidate) -> str:
    """Return which other counts a report states."""
    content = each.content
    if content is None:
        return ""
    listed = content.provisioned_users
    more = "" if listed is None else f"; {listed} users listed"
    return more if content.daily_active_users is None else f"{more}; users of each day"


def _cycle(content: Content) -> str:
    start, end = (rfc3339(1000 * at)[:10] for at in (content.cycle.start_s, content.cycle.end_s))
    return f"{start} to {end}"


def _due(each: Candidate) -> str:
    return "-" if each.due is None else each.due


def _confirm(count: int) -> None:
    what = "this report" if count == 1 else f"these {count} reports"
    if not sys.stdin.isatty():
        raise typer.BadParameter(f"nothing was approved: to approve {what} without asking, --yes")
    if not typer.confirm(f"Approve {what}?", err=True):
        typer.echo("nothing was approved", err=True)
        raise typer.Exit(NOT_OK)


def _as_json(each: Candidate, *, approved: bool) -> Mapping[str, object]:
    content = each.content
    stated = {}
    if content is not None:
        stated = {
            "usage": each.usage,
            "kind": content.kind.value.capitalize(),
            "sequence": each.sequence,
            "cycle": {
                "startTime": rfc3339(1000 * content.cycle.start_s),
                "endTime": rfc3339(1000 * content.cycle.end_s),
            },
            "activeUsers": content.active_users,
            "activeUsersUpperBound": content.active_users_upper_bound,
            "accuracy": content.accuracy,
            "digest": each.digest,
            "dueTime": each.due,
        }
    now = each.standing is Standing.WAITS and approved
    return {
        "namespace": each.namespace,
        "name": each.name,
        **stated,
        "result": str(Standing.APPROVED if now else each.standing),
        "message": each.words or None,
    }
