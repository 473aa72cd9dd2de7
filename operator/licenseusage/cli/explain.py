"""``licenseusage explain``: one person in the ledger, for the customer alone."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import typer

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
from licenseusage.controller.rules.declared import Declared, declared
from licenseusage.controller.rules.key import Key
from licenseusage.controller.rules.preview import Seen, counted_of
from licenseusage.controller.settings import Settings
from licenseusage.errors import Stalled
from licenseusage.ledger.documents.exporting import opened
from licenseusage.ledger.documents.previewing import LedgerView
from licenseusage.ledger.records import CycleRecord, MeterKey
from licenseusage.ledger.storage.database import path_of
from licenseusage.metering.cycles import DAY_MS, Cycle
from licenseusage.metering.persons import WORDS, Standing, Trace, days, standing, trace
from licenseusage.metering.pseudonym import Pseudonymiser
from licenseusage.reasons import Reason
from licenseusage.sources.ids import normalizer

_CYCLES = 400
_STANDING = {
    Standing.COUNTED: "counted",
    Standing.POSSIBLE: "possible: counted in the upper bound only",
    Standing.NOT_COUNTED: "not counted",
    Standing.OPEN: "not counted so far; nothing rules it out yet",
    Standing.NOT_KEPT: "not in the data kept: the facts about users were deleted after their "
    "retention",
    Standing.OTHER_KEY: "unknown: this cycle was counted under another pseudonym key",
}

app = typer.Typer()


@app.command()
def explain(
    name: NameArgument,
    *,
    user: PersonOption,
    namespace: NamespaceOption,
    output: OutputOption = Output.TABLE,
    caller: CallerOption = "unknown",
    operator_namespace: OperatorNamespaceOption = "licenseusage-system",
    context: ContextOption = None,
    kubeconfig: KubeconfigOption = None,
) -> None:
    """Say whether one person was counted, on which days and by which source, or why not.

    For the customer alone: nothing of this leaves the cluster by itself. The ledger holds no ids.
    The command computes the person's pseudonym of each cycle in the operator's pod, with the key
    that only you have, and looks for it.

    It is refused unless the operator's setting LICENSEUSAGE_PERSON_REQUESTS is Allowed. Each use is
    in the operator's log, with your user name and a keyed name of the person, never the id.

    The command runs in the operator's pod by kubectl exec, with your own rights. The id is sent as
    its input; it is in no process list and no audit log.

    Exit code 0: printed, whatever it is. 3: refused, or it could not be determined.

    Examples:
        kubectl licenseusage explain opencloud -n opencloud --user ada@example.com

        kubectl licenseusage explain opencloud -n opencloud --user - --output json < id.txt
    """
    person = person_of(user)
    if not beside_ledger():
        arguments = ["explain", f"--namespace={namespace}", f"--output={output}", "--", name]
        pod = OperatorPod(operator_namespace, context, kubeconfig)
        typer.echo(ask_in_pod(pod, arguments, person).decode(), nl=False)
        return
    asked = admitted(Request("explain", Key(namespace, name), person, caller))
    seen = asked.seen
    cycles = explained(asked.settings, seen, asked.key, person, asked.clock.now_ms())
    if output is Output.JSON:
        print_json(as_json(seen, cycles))
    else:
        typer.echo("\n".join(_lines(seen, cycles)))


@dataclass(frozen=True, slots=True)
class StoreTrace:
    """What one store says about a person in one cycle.

    Attributes:
        source: Name of the source.
        domain: Its identity domain: people of different domains are never united.
        trace: What it says.
        certain: Days of proved activity, ``YYYY-MM-DD``.
        possible: Days on which activity is neither proved nor ruled out.
    """

    source: str
    domain: str
    trace: Trace
    certain: tuple[str, ...] = ()
    possible: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CycleTrace:
    """A person in one cycle."""

    record: CycleRecord
    standing: Standing
    stores: tuple[StoreTrace, ...] = ()


def explained(
    settings: Settings, seen: Seen, key: bytes, person: str, now_ms: int
) -> tuple[CycleTrace, ...]:
    """Return what the ledger knows of a person, newest cycle first.

    Args:
        settings: The operator's: where its ledger is.
        seen: What the cluster shows of the LicenseUsage.
        key: The pseudonym key.
        person: The id.
        now_ms: The time.

    Raises:
        UsageError: The ledger cannot be read, or does not know the LicenseUsage.
    """
    product, sources = seen.usage.spec.product, declared(seen.usage, unforeseen, seen.shipped)
    with opened(path_of(settings.database_url)) as connection:
        view = LedgerView(connection)
        facts = view.facts(MeterKey(*seen.subject.key, product), lambda _: (), _CYCLES)
        if facts is None:
            raise Stalled(
                Reason.NOTHING_DUE,
                f"LicenseUsage {seen.subject.key} is not in the ledger yet: the operator has not "
                f"looked at it, so that nobody was counted.",
            )
        counted = counted_of(seen, sources, facts, now_ms)
        forms = {source.name: normalised(source, person) for source in sources}
        traced = []
        for record in facts.cycles:
            if record.wiped or record.pseudonym_key_id not in {None, seen.key_id}:
                reason = Standing.NOT_KEPT if record.wiped else Standing.OTHER_KEY
                traced.append(CycleTrace(record, reason))
                continue
            user_of = _pseudonyms(Pseudonymiser(key, product, record.cycle.start_ms // 1000), forms)
            domains = view.evidence_about(record, user_of, counted.declared)
            excluded = {s.name: _excluded(s, forms[s.name]) for s in sources}
            stores = tuple(
                StoreTrace(
                    store.source,
                    store.domain,
                    trace(evidence, excluded_id=excluded.get(store.source, False)),
                    _dates(days(evidence.sure, record.cycle), record.cycle),
                    _dates(days(evidence.maybe, record.cycle), record.cycle),
                )
                for group in domains
                for store, evidence in group
            )
            traced.append(
                CycleTrace(
                    record,
                    standing(
                        [[evidence for _, evidence in group] for group in domains], counted.combine
                    ),
                    stores,
                )
            )
    return tuple(traced)


def as_json(seen: Seen, cycles: Sequence[CycleTrace]) -> dict[str, object]:
    """Return it for programs; the id is not repeated."""
    return {
        "usage": {"namespace": seen.subject.key.namespace, "name": seen.subject.key.name},
        "product": seen.usage.spec.product,
        "cycles": [
            {
                "index": cycle.record.cycle.index,
                "start": day_text(cycle.record.cycle.start_ms),
                "end": day_text(cycle.record.cycle.end_ms),
                "state": cycle.record.state.value,
                "standing": cycle.standing.value,
                "sources": [
                    {
                        "source": store.source,
                        "identityDomain": store.domain,
                        "says": store.trace.value,
                        "activeDays": list(store.certain),
                        "possibleDays": list(store.possible),
                    }
                    for store in cycle.stores
                ],
            }
            for cycle in cycles
        ],
    }


def _lines(seen: Seen, cycles: Sequence[CycleTrace]) -> Iterator[str]:
    yield f"LicenseUsage {seen.subject.key}, product {seen.usage.spec.product}"
    if not cycles:
        yield "no cycle has begun"
    for cycle in cycles:
        of = cycle.record.cycle
        span = f"{day_text(of.start_ms)} to {day_text(of.end_ms - DAY_MS)}"
        yield f"cycle {of.index}, {span}, {cycle.record.state}: {_STANDING[cycle.standing]}"
        for store in cycle.stores:
            yield f"  source {store.source}: {WORDS[store.trace]}"
            if store.certain:
                yield f"    active on {', '.join(store.certain)}"
            elif store.trace is Trace.ACTIVE:
                yield "    in the cycle; on which day is not known"
            if store.possible:
                yield f"    possibly active on {', '.join(store.possible)}"


def _excluded(source: Declared, person: str) -> bool:
    if source.source is None or source.source.states_number:
        return False
    normal = normalizer(source.source.users.normalize)
    return person in {normal(name) for name in source.source.users.exclude_ids}


def _pseudonyms(of: Pseudonymiser, forms: Mapping[str, str]) -> Callable[[str], bytes]:
    """Return the pseudonym by source; of a source that is gone, by the form of the first one."""
    first = next(iter(forms.values()))
    return lambda source: of(forms.get(source, first))


def _dates(numbers: Sequence[int], cycle: Cycle) -> tuple[str, ...]:
    return tuple(day_text(cycle.start_ms + number * DAY_MS) for number in numbers)
