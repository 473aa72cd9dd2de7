"""The tally: what was done, what was found."""

from collections import Counter
from collections.abc import Iterator, Sequence

from trials.kills.places import NOT_PLAYED
from trials.kills.run import Record
from trials.kills.verdict import Judged


def lines(record: Record, judged: Judged, unreached: Sequence[str], seconds: float) -> list[str]:
    """Return the tally for people."""
    return list(_lines(record, judged, unreached, seconds))


def _lines(
    record: Record, judged: Judged, unreached: Sequence[str], seconds: float
) -> Iterator[str]:
    days = (record.last_s - record.first_s) // 86_400
    yield ""
    yield "Killed at an effect's boundary (before | within | after):"
    for effect, counts in _by_effect(record.killed_at).items():
        yield f"  {effect:40} {counts[0]:4} {counts[1]:4} {counts[2]:4}"
    yield "Killed at a random moment, by the last boundary passed:"
    for place, count in record.killed_after.most_common():
        yield f"  {place:46} {count:4}"
    yield f"Killed at rest: {record.at_rest}"
    for name, why in NOT_PLAYED.items():
        yield f"No occasion for {name}: {why}"
    yield ""
    yield f"kills                {record.kills}"
    yield f"  at a boundary      {record.killed_at.total()} (of {len(record.killed_at)} places)"
    yield f"  at random          {record.killed_after.total()}"
    yield f"  at rest            {record.at_rest}"
    yield f"  saw a cycle end    {record.watched}"
    yield f"simulated days       {days}"
    yield f"cycles ended         {judged.cycles}"
    yield f"finals accepted      {judged.finals}"
    yield f"interims accepted    {judged.interims}"
    yield f"amendments accepted  {judged.amendments}"
    yield f"accuracy of finals   {_shares(judged.accuracies)}"
    yield f"places not reached   {', '.join(unreached) or 'none'}"
    yield f"duration             {seconds / 60:.1f} min"
    violations = (*record.troubles, *judged.violations)
    yield f"violations           {len(violations)}"
    for violation in violations[:50]:
        yield f"  {violation}"


def _by_effect(places: Counter[str]) -> dict[str, tuple[int, int, int]]:
    effects = sorted({place.partition(" ")[2] for place in places})
    moments = ("before", "within", "after")
    return {
        effect: (
            places[f"{moments[0]} {effect}"],
            places[f"{moments[1]} {effect}"],
            places[f"{moments[2]} {effect}"],
        )
        for effect in effects
    }


def _shares(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.most_common()) or "none"
