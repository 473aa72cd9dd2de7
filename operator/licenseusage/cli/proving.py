"""``licenseusage report prove`` and ``verify-proof``: whether a person is among those counted."""

from pathlib import Path
from typing import Annotated

import typer

from licenseusage.cli.documents import read_documents
from licenseusage.cli.exits import NOT_OK
from licenseusage.cli.inpod import (
    ContextOption,
    KubeconfigOption,
    NameArgument,
    NamespaceOption,
    OperatorNamespaceOption,
    OperatorPod,
    beside_ledger,
)
from licenseusage.cli.looking import unforeseen
from licenseusage.cli.persons import (
    CallerOption,
    PersonOption,
    Request,
    admitted,
    ask_in_pod,
    normalised,
    person_of,
)
from licenseusage.controller.rules.declared import declared
from licenseusage.controller.rules.key import Key
from licenseusage.controller.rules.preview import Seen
from licenseusage.controller.settings import Settings
from licenseusage.errors import Stalled
from licenseusage.ledger.documents.exporting import opened
from licenseusage.ledger.documents.previewing import LedgerView
from licenseusage.ledger.records import MeterKey
from licenseusage.ledger.storage.database import path_of
from licenseusage.metering.pseudonym import Pseudonymiser
from licenseusage.reasons import Reason
from licenseusage.reports.inwords import in_words
from licenseusage.reports.names import jti_of
from licenseusage.reports.proof import CountedProof, ProofError, check_proof, read_proof
from licenseusage.reports.report import read_report

_MOST_BYTES = 64 * 2**20


def prove(
    name: NameArgument,
    *,
    user: PersonOption,
    namespace: NamespaceOption,
    cycle: Annotated[
        int | None,
        typer.Option(metavar="N", min=0, help="The cycle; without it, the newest that can be."),
    ] = None,
    caller: CallerOption = "unknown",
    operator_namespace: OperatorNamespaceOption = "licenseusage-system",
    context: ContextOption = None,
    kubeconfig: KubeconfigOption = None,
) -> None:
    """Print a proof that one person is, or is not, among those whom a final report counted.

    The proof opens the report's commitment: the salt, and the pseudonyms of everybody counted in
    that cycle. Without your key they lead to nobody, and to nothing of another cycle. The proof
    contains no id. That the pseudonym in it is the person's, only whoever has your key can see:
    let an auditor watch while you run this.

    It works as long as the facts of the cycle are kept, and nobody was erased from it. It is
    refused and recorded as explain is.

    Exit code 0: printed. 3: refused, or there is no such proof.

    Examples:
        kubectl licenseusage report prove opencloud -n opencloud --user ada > proof.json

        licenseusage report verify-proof proof.json --report report.jwt
    """
    person = person_of(user)
    if not beside_ledger():
        words = ["report", "prove", f"--namespace={namespace}"]
        words += [] if cycle is None else [f"--cycle={cycle}"]
        pod = OperatorPod(operator_namespace, context, kubeconfig)
        typer.echo(ask_in_pod(pod, [*words, "--", name], person).decode(), nl=False)
        return
    asked = admitted(Request("report prove", Key(namespace, name), person, caller))
    proof = proved(asked.settings, asked.seen, asked.key, person, cycle)
    typer.echo(proof.to_json(), nl=False)


def proved(
    settings: Settings, seen: Seen, key: bytes, person: str, index: int | None
) -> CountedProof:
    """Return the proof for a person.

    Args:
        settings: The operator's: where its ledger is.
        seen: What the cluster shows of the LicenseUsage.
        key: The pseudonym key.
        person: The id.
        index: Number of the cycle; None: the newest whose commitment can be opened.

    Raises:
        UsageError: The ledger cannot be read; ``CommitmentNotKept``; ``AnotherKey``.
    """
    product, sources = seen.usage.spec.product, declared(seen.usage, unforeseen, seen.shipped)
    # Also as given: a source that read it so may not be declared any more.
    forms = sorted({person, *(normalised(source, person) for source in sources)})
    with opened(path_of(settings.database_url)) as connection:
        view = LedgerView(connection)
        for item, commitment in view.commitments(MeterKey(*seen.subject.key, product)):
            if item.cycle is None or index not in {None, item.cycle.index}:
                continue
            _refuse_another_key(read_report(item.token).content.pseudonym_key_id, seen)
            of_cycle = Pseudonymiser(key, product, item.cycle.start_ms // 1000)
            return CountedProof(
                item.digest, commitment.salt, commitment.users, tuple(of_cycle.each(forms))
            )
    which = "no cycle" if index is None else f"cycle {index}"
    raise Stalled(
        Reason.COMMITMENT_NOT_KEPT,
        f"LicenseUsage {seen.subject.key}: of {which}, the ledger keeps whom a final report "
        f"counted. Either there is no such report yet, or it has no commitment (its number could "
        f"not be told person by person), or the facts were deleted after their retention, or "
        f"somebody was erased from the cycle.",
    )


def _refuse_another_key(counted_under: str | None, seen: Seen) -> None:
    """Let nobody be "not counted" whose pseudonym is that of another key.

    Raises:
        Stalled: ``AnotherKey``.
    """
    if counted_under not in {None, seen.key_id}:
        raise Stalled(
            Reason.ANOTHER_KEY,
            f"LicenseUsage {seen.subject.key}: the report counted under pseudonym key "
            f"{counted_under}, and the Secret holds {seen.key_id}, by which nobody is found in it. "
            f"Nothing is proved. Restore the former key (licenseusage keys import), or name "
            f"another cycle.",
        )


def verify_proof(
    proof: Annotated[Path, typer.Argument(metavar="PROOF", help="What `report prove` printed.")],
    *,
    report: Annotated[
        list[str],
        typer.Option(
            metavar="FILE",
            help="The report, or several: tokens or UsageReports (YAML, JSON). Repeatable.",
        ),
    ],
) -> None:
    """Verify that a proof opens the commitment of a report, and say what it shows.

    Verify the report itself by `report verify`: take it from the vendor's records or your own, not
    from whoever made the proof.

    Exit code 0: the proof is right, whether or not the person was counted. 1: it is wrong.

    Examples:
        licenseusage report verify-proof proof.json --report report.jwt
    """
    tokens = [document.token for file in report for document in read_documents(file)]
    try:
        opened_proof = read_proof(_text(proof))
        token = check_proof(opened_proof, tokens)
    except ProofError as error:
        typer.echo(f"{proof}: {error}")
        raise typer.Exit(NOT_OK) from None
    stated = read_report(token)
    jti = jti_of(stated.envelope.chain_id, stated.envelope.sequence)
    verdict = "is" if opened_proof.counted else "is NOT"
    typer.echo(
        f"{proof}: the person of this proof {verdict} among those counted by report {jti} "
        f"({in_words(stated.content)})"
    )
    typer.echo("the report's signature was not checked: licenseusage report verify")


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ProofError(f"it is longer than {_MOST_BYTES // 2**20} MiB")
        return path.read_text("utf-8")
    except OSError as error:
        raise Stalled(Reason.FILE_UNREADABLE, f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ProofError("it is not text") from None
