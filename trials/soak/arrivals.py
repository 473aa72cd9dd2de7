"""The vendor's store as it fills: each document follows the one before, one final a cycle."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from licenseusage.reports.tokens import decode
from licenseusage.reports.typs import ENROLMENT, REPORT
from trials.soak.need import need

_NEW = """
select rowid, chain_id, sequence, previous, digest, typ, verdict, token from documents
where rowid > ? order by rowid
"""


class Arrivals:
    """Reads the receiver's database beside the receiver: what is checked is what is durable.

    Attributes:
        enrolled: Subscriptions whose enrolment has arrived.
        held: Every document that has arrived, by its id.
        disordered: Subscriptions of which a document may arrive before one that precedes it.
    """

    def __init__(self, path: Path) -> None:
        """Read the database at ``path``."""
        self._connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        self._last = 0
        self._links: dict[tuple[str, int], tuple[str, str | None]] = {}
        self._finals: set[tuple[str, int]] = set()
        self.enrolled: set[str] = set()
        self.held: set[str] = set()
        self.disordered: set[str] = set()

    def check(self) -> None:
        """Check what has arrived since the last time.

        Raises:
            Violation: A position was left out or forked, or a cycle has a second final.
        """
        with closing(self._connection.execute(_NEW, (self._last,))) as rows:
            for self._last, chain, sequence, previous, digest, typ, verdict, token in rows:
                what = f"document {sequence} of chain {chain}"
                need(verdict == "Accepted", f"{what} is {verdict}")
                claims: Any = decode(token)[1]
                need((chain, sequence) not in self._links, f"{what} has arrived twice")
                self._links[chain, sequence] = (digest, previous)
                self._linked(what, chain, sequence, claims["sub"])
                self.held.add(claims["jti"])
                if typ == REPORT:
                    self._final(chain, claims)
                elif typ == ENROLMENT:
                    self.enrolled.add(str(claims["sub"]))

    def close(self) -> None:
        """Close the database."""
        self._connection.close()

    def _linked(self, what: str, chain: str, sequence: int, subscription: str) -> None:
        """A document follows the one before it, which is there unless a file had a bad line."""
        _, previous = self._links[chain, sequence]
        before = self._links.get((chain, sequence - 1))
        after = self._links.get((chain, sequence + 1))
        first = sequence == 1 and previous is None
        there = before is not None or first or subscription in self.disordered
        need(there, f"{what} has arrived before {sequence - 1}")
        follows = first or before is None or previous == before[0]
        need(follows, f"{what} does not follow {sequence - 1}")
        need(after is None or after[1] == self._links[chain, sequence][0], f"{what} has no sequel")

    def _final(self, chain: str, claims: Any) -> None:  # noqa: ANN401 - claims
        if claims["kind"] == "final":
            cycle = (chain, claims["cycle"]["start"])
            need(cycle not in self._finals, f"cycle {cycle} has a second final")
            self._finals.add(cycle)
