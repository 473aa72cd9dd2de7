"""``licenseusage erase``: one person's link to the ledger goes, the count stays (GDPR Art. 17)."""

import secrets
from collections.abc import Callable, Mapping
from typing import Annotated

import typer

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
from licenseusage.cli.output import Output, OutputOption, print_json
from licenseusage.cli.persons import (
    CallerOption,
    PersonOption,
    Request,
    admitted,
    ask_in_pod,
    day_text,
    normalised,
    person_of,
)
from licenseusage.controller.rules.declared import declared
from licenseusage.controller.rules.key import Key
from licenseusage.controller.rules.preview import Seen
from licenseusage.controller.settings import Settings
from licenseusage.errors import Stalled
from licenseusage.ledger.facts.erasing import Erasure
from licenseusage.ledger.ledger import Ledger
from licenseusage.ledger.records import MeterKey
from licenseusage.metering.pseudonym import Pseudonymiser
from licenseusage.reasons import Reason

_WORDS = {
    Erasure.ERASED: "erased; the count stays, and later evidence about the cycle is not taken",
    Erasure.ORDERED: "will be erased within an hour of the cycle's final report",
    Erasure.NOT_IN_DATA: "not in the data kept",
    Erasure.NOT_KEPT: "nothing is kept: the facts about users were deleted after their retention",
    Erasure.OTHER_KEY: "NOT erased: this cycle was counted under another pseudonym key, so that "
    "nobody can be found in it. Restore that key (licenseusage keys import) and repeat the command",
}

app = typer.Typer()


@app.command()
def erase(
    name: NameArgument,
    *,
    user: PersonOption,
    namespace: NamespaceOption,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    output: OutputOption = Output.TABLE,
    caller: CallerOption = "unknown",
    operator_namespace: OperatorNamespaceOption = "licenseusage-system",
    context: ContextOption = None,
    kubeconfig: KubeconfigOption = None,
) -> None:
    """Erase what the ledger keeps about one person; every count stays as it is.

    In cycles that have their final report, a random name takes the place of the person's
    pseudonym: the row counts as before and leads to nobody. The cycle takes no later evidence,
    which could add the person a second time. A running cycle is erased within an hour of its final
    report: until then the pseudonym is what keeps a person from being counted twice.

    First remove the person from the product: whom it still lists is counted in the next cycle, as
    everybody. Backups of the ledger are not changed. See docs/privacy.md.

    It is refused unless the operator's setting LICENSEUSAGE_PERSON_REQUESTS is Allowed. Each use is
    in the operator's log, as with explain. The command runs in the operator's pod by kubectl exec.

    Exit code 0: done, or ordered. 1: a cycle was counted under another pseudonym key, and nobody
    was found in it. 3: refused, or it could not be done; it can be repeated.

    Examples:
        kubectl licenseusage erase opencloud -n opencloud --user ada@example.com

        kubectl licenseusage erase opencloud -n opencloud --yes --user - < id.txt
    """
    person = person_of(user)
    if not beside_ledger():
        if not yes:
            typer.confirm("Erase this person? It cannot be undone.", abort=True, err=True)
        arguments = ["erase", "--yes", f"--namespace={namespace}", f"--output={output}", "--", name]
        pod = OperatorPod(operator_namespace, context, kubeconfig)
        typer.echo(ask_in_pod(pod, arguments, person).decode(), nl=False)
        return
    key = Key(namespace, name)
    asked = admitted(Request("erase", key, person, caller))
    done = erased(
        asked.settings,
        asked.seen,
        asked.key,
        person,
        asked.clock.now_ms(),
        random_bytes=secrets.token_bytes,
    )
    if output is Output.JSON:
        cycles = [{"start": day_text(at), "result": result.value} for at, result in done.items()]
        print_json({"usage": {"namespace": namespace, "name": name}, "cycles": cycles})
    else:
        typer.echo(f"LicenseUsage {key}, product {asked.seen.usage.spec.product}")
        for at_ms, result in done.items():
            typer.echo(f"cycle from {day_text(at_ms)}: {_WORDS[result]}")
    if Erasure.OTHER_KEY in done.values():
        raise typer.Exit(NOT_OK)


def erased(
    settings: Settings,
    seen: Seen,
    key: bytes,
    person: str,
    now_ms: int,
    *,
    random_bytes: Callable[[int], bytes],
) -> Mapping[int, Erasure]:
    """Erase a person, and return what became of each cycle, by its start in ms.

    Args:
        settings: The operator's: where its ledger is.
        seen: What the cluster shows of the LicenseUsage.
        key: The pseudonym key.
        person: The id.
        now_ms: The time.
        random_bytes: Returns so many random octets.

    Raises:
        UsageError: The ledger cannot be written, or does not know the LicenseUsage.
    """
    product, sources = seen.usage.spec.product, declared(seen.usage, unforeseen, seen.shipped)
    # Also as given: a source that read it so may not be declared any more.
    forms = {person, *(normalised(source, person) for source in sources)}
    with Ledger.beside(settings.database_url) as ledger:
        meter = ledger.meter(MeterKey(*seen.subject.key, product))
        if meter is None:
            raise Stalled(
                Reason.NOTHING_DUE,
                f"LicenseUsage {seen.subject.key} is not in the ledger: nothing is kept about its "
                f"users.",
            )
        pseudonyms = {
            at_ms: tuple(Pseudonymiser(key, product, at_ms // 1000).each(sorted(forms)))
            for at_ms in ledger.kept_starts(meter.id)
        }
        done = ledger.erase_person(meter.id, pseudonyms, seen.key_id, now_ms, random_bytes)
        if Erasure.ERASED in done.values() and not ledger.forget_log():
            typer.echo(
                "note: the ledger is in use. Until the operator writes more, its log "
                "(ledger.sqlite-wal) still holds a copy of what was erased; repeat the command to "
                "try again.",
                err=True,
            )
    return done
