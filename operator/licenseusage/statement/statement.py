"""The statement: chosen cycles, what else must be known of them, and how it was checked."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from licenseusage.errors import Stalled
from licenseusage.reasons import Reason
from licenseusage.statement.choosing import Choice, ChosenCycles, choose
from licenseusage.statement.cycles import (
    Checked,
    ReportedChain,
    ReportedCycle,
    SignedReport,
    State,
)
from licenseusage.statement.words import day, days_of, minute, simulated


@dataclass(frozen=True, slots=True)
class Statement:
    """What signed reports say about chosen cycles of one LicenseUsage.

    Attributes:
        period: What was asked for, for the title: ``cycle 12``, ``2026Q4``.
        sections: One of each chain; numbers of different sections are never added.
        warnings: Sentences that must be read with the numbers.
        made_at_s: When it was made, seconds since 1970 UTC.
        made_by: Name and version of the program.
    """

    namespace: str
    name: str
    period: str
    sections: tuple[ChosenCycles, ...]
    warnings: tuple[str, ...]
    made_at_s: int
    made_by: str

    @property
    def cycles(self) -> tuple[ReportedCycle, ...]:
        """The chosen cycles of all sections."""
        return tuple(cycle for section in self.sections for cycle in section.cycles)

    @property
    def products(self) -> tuple[str, ...]:
        """The products, each once; a section has one of them."""
        return tuple(dict.fromkeys(cycle.content.product for cycle in self.cycles))

    @property
    def provisional(self) -> bool:
        """Whether a number of it may still grow."""
        return any(cycle.state is State.PROVISIONAL for cycle in self.cycles)

    @property
    def documents(self) -> tuple[SignedReport, ...]:
        """The reports that it is made of, in chain order."""
        return tuple(
            report
            for section in self.sections
            for cycle in section.cycles
            for report in cycle.stating
        )

    @property
    def verified(self) -> bool:
        """Whether the signature of each of its reports was verified."""
        return all(report.checked is Checked.VERIFIED for report in self.documents)


def chains_of_object(
    chains: Sequence[ReportedChain], name: str, namespace: str | None
) -> tuple[ReportedChain, ...]:
    """Return the chains of one LicenseUsage.

    Args:
        chains: All that are here.
        name: Of the LicenseUsage.
        namespace: None: it is the only one that has an object of this name.

    Raises:
        Stalled: ``NoDocument``: there are none; ``Ambiguous``: several namespaces have some.
    """
    named = [
        chain for chain in chains if chain.usage[1] == name and namespace in (None, chain.usage[0])
    ]
    if not named:
        there = ", ".join(dict.fromkeys("/".join(chain.usage) for chain in chains))
        raise Stalled(
            Reason.NO_DOCUMENT,
            f"No report of {f'{namespace}/{name}' if namespace else name} is here. "
            + (f"There are reports of: {there}" if there else "There are no reports at all."),
        )
    namespaces = sorted({chain.usage[0] for chain in named})
    if len(namespaces) > 1:
        raise Stalled(
            Reason.AMBIGUOUS,
            f"{len(namespaces)} namespaces have reports of {name}: {', '.join(namespaces)}. "
            f"Name one with --namespace.",
        )
    return tuple(named)


def state(
    chains: Sequence[ReportedChain],
    others: Sequence[ReportedChain],
    choice: Choice,
    *,
    only: ReportedChain | None = None,
    made_at_s: int,
    made_by: str,
) -> Statement:
    """Make the statement about one LicenseUsage.

    Args:
        chains: Of this object.
        others: Of other objects, for the warning that users may be counted there, too.
        choice: Which cycles.
        only: Of this one of the chains; the others are mentioned all the same.
        made_at_s: The time, seconds since 1970 UTC.
        made_by: Name and version of the program.

    Raises:
        Stalled: ``NoSuchCycle``.
    """
    sections = choose(chains if only is None else [only], choice)
    namespace, name = chains[0].usage
    return Statement(
        namespace=namespace,
        name=name,
        period=_period(sections, choice),
        sections=sections,
        warnings=tuple(dict.fromkeys(_warnings(sections, chains, others))),
        made_at_s=made_at_s,
        made_by=made_by,
    )


def _period(sections: Sequence[ChosenCycles], choice: Choice) -> str:
    indices = {cycle.index for section in sections for cycle in section.cycles}
    return f"cycle {indices.pop()}" if len(indices) == 1 else choice.words


def _warnings(
    sections: Sequence[ChosenCycles],
    chains: Sequence[ReportedChain],
    others: Sequence[ReportedChain],
) -> Iterator[str]:
    cycles = [(section.chain, cycle) for section in sections for cycle in section.cycles]
    for chain, cycle in cycles:
        if cycle.state is State.PROVISIONAL:
            yield _provisional(cycle)
        for report in cycle.stating:
            if simulated(report.content):
                yield (
                    f"Report {report.envelope.sequence} of cycle {cycle.index} was made with a "
                    f"simulated clock, for a demo or a test. It is nothing to bill from."
                )
        yield from _counted_elsewhere(chain, cycle, others)
    if len(chains) > 1:
        yield _several(chains)
    for section in sections:
        yield from _holes(section)


def _provisional(cycle: ReportedCycle) -> str:
    as_of = minute(cycle.content.cycle.as_of_s)
    return (
        f"Cycle {cycle.index} is provisional: its number is as of {as_of} and may still grow. The "
        f"final report, after {day(cycle.end_s - 1)}, decides."
    )


def _several(chains: Sequence[ReportedChain]) -> str:
    namespace, name = chains[0].usage
    named = "; ".join(
        f"{chain.id[:8]} (contract {chain.envelope.subscription}, installation "
        f"…{chain.envelope.installation[-8:]}, cycles {chain.cycles[0].index} to "
        f"{chain.cycles[-1].index})"
        for chain in chains
    )
    return (
        f"{namespace}/{name} has {len(chains)} chains of reports: {named}. The same people may be "
        f"counted in several of them. Their numbers must never be added."
    )


def _counted_elsewhere(
    chain: ReportedChain, cycle: ReportedCycle, others: Sequence[ReportedChain]
) -> Iterator[str]:
    """Warn of a moved or renamed object: two finals for one cycle of one contract."""
    for other in others:
        same = other.envelope.subscription == chain.envelope.subscription and (
            other.envelope.vendor == chain.envelope.vendor
        )
        for counted in other.cycles if same else ():
            if counted.overlaps(cycle) and counted.content.product == cycle.content.product:
                yield (
                    f"{'/'.join(other.usage)} also reports users of {cycle.content.product} under "
                    f"contract {chain.envelope.subscription}, for {days_of(counted)}. If it is the "
                    f"same product under another name, the same people are counted twice. Do not "
                    f"add the numbers unless their users are different people."
                )


def _holes(section: ChosenCycles) -> Iterator[str]:
    """Warn of cycles between the first and the last chosen one that no report is here of."""
    chosen = {cycle.index for cycle in section.cycles}
    missing = sorted(set(range(min(chosen), max(chosen) + 1)) - chosen)
    if missing:
        named = ", ".join(map(str, missing))
        yield (
            f"No report of cycle {named} is here (chain {section.chain.id[:8]}). The vendor's "
            f"server has it, or a bundle."
        )
