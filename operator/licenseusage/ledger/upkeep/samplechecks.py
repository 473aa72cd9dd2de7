"""Are the numbers that products stated in order: as `metering.counts.sample` makes them, and alone.

A sample is a number and four spans of time that follow from one poll. A damaged one can prove more
people than there were: by a larger number, or by a window that seems to lie inside the cycle.
"""

from sqlalchemy import Connection, text

from licenseusage.metering.stores import NUMBERS

_RULES = {
    "negative": "state fewer users than none, or fewer than none of the product's own",
    "unmarked": "have marks that do not exist",
    "unsure": "are called whole although they are estimated or have reached their cap",
    "backwards": "were computed after they were read",
    "unending": "are about activity after they were read, or end before they begin",
    "early": "cover or settle a time at which they had not been computed",
    "misplaced": "stand among people: a number names nobody",
    "ahead": "were computed after the latest time known",
}
"""Column of the query -> what is wrong with so many numbers."""

_QUERY = f"""
    SELECT count(*) AS held,
           sum(s.users < 0 OR s.own < 0) AS negative,
           sum(s.flags NOT BETWEEN 0 AND 31) AS unmarked,
           sum(s.flags & 1 <> 0 AND s.flags & 12 <> 0) AS unsure,
           sum(s.computed_ms > s.read_ms) AS backwards,
           sum(s.last_ms > s.read_ms OR s.first_ms > s.last_ms) AS unending,
           sum(s.covers_until_ms > s.computed_ms OR s.settled_ms > s.computed_ms) AS early,
           sum(t.domain <> '{NUMBERS}') AS misplaced,
           sum(s.computed_ms > l.clock_high_water_ms) AS ahead
    FROM samples s JOIN stores t ON t.id = s.store_id CROSS JOIN ledger l"""  # noqa: S608

_NAMED = f"""
    SELECT count(*) FROM stores t WHERE t.domain = '{NUMBERS}'
    AND (EXISTS (SELECT 1 FROM facts f WHERE f.store_id = t.id) OR t.closed <> 0)"""  # noqa: S608


def check_samples(connection: Connection) -> tuple[list[str], str]:
    """Return every fault of the numbers, and a sentence about them."""
    row = connection.execute(text(_QUERY)).one()
    faults = [
        f"{count} numbers {wrong}"
        for name, wrong in _RULES.items()
        if (count := getattr(row, name))
    ]
    if named := connection.execute(text(_NAMED)).scalar_one():
        faults.append(f"{named} sources of numbers hold people, or rule somebody out")
    return faults, f"{row.held} numbers that products stated"
