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
    """

    def __init__(self, path: Path) -> None:
        """Read the database at ``path``."""
        self._connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        self._last = 0
        self._heads: dict[str, tuple[int, str | None]] = {}
        self._finals: set[tuple[str, int]] = set()
        self.enrolled: set[str] = set()

    def check(self) -> None:
        """Check what has arrived since the last time.

        Raises:
            Violation: A position was left out or forked, or a cycle has a second final.
        """
        with closing(self._connection.execute(_NEW, (self._last,))) as rows:
            for self._last, chain, sequence, previous, digest, typ, verdict, token in rows:
                what = f"document {sequence} of chain {chain}"
                need(verdict == "Accepted", f"{what} is {verdict}")
                head, head_digest = self._heads.get(chain, (0, None))
                need(sequence == head + 1, f"{what} has arrived after {head}")
                need(previous == head_digest, f"{what} does not follow {head}")
                self._heads[chain] = (sequence, digest)
                if typ == REPORT:
                    self._final(chain, token)
                elif typ == ENROLMENT:
                    self.enrolled.add(str(decode(token)[1]["sub"]))

    def close(self) -> None:
        """Close the database."""
        self._connection.close()

    def _final(self, chain: str, token: str) -> None:
        claims: Any = decode(token)[1]
        if claims["kind"] == "final":
            cycle = (chain, claims["cycle"]["start"])
            need(cycle not in self._finals, f"cycle {cycle} has a second final")
            self._finals.add(cycle)
