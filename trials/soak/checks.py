"""What must hold, whatever happens: compared with the truth, and with what was seen before.

The ledger is read from its file, beside the operator: what is checked is what is durable.
"""

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from licenseusage.api.source import Source
from licenseusage.ledger.records import PollRecord
from licenseusage.ledger.storage.encoding import load_statement
from licenseusage.metering.bounds import Accuracy, Bounds
from licenseusage.metering.combine import Combine, Store, evaluate
from licenseusage.metering.cycles import CYCLE_BIT, DAY_MS, Cycle
from licenseusage.metering.facts import Facts
from licenseusage.metering.properties import Properties, Removal
from licenseusage.reports.tokens import decode
from licenseusage.sources.definition.presets import effective
from trials.proof import contradiction
from trials.soak.books import Books, read_facts
from trials.soak.doubt import Asked, Doubt
from trials.soak.need import need
from trials.soak.plan import Usage
from trials.soak.tally import Tally
from trials.soak.truth import Truth

_ORDER = {"Open": 0, "Closing": 1, "Final": 2}


class Checker:
    """Everything that was ever seen of one history."""

    def __init__(self, usages: Iterable[Usage], tally: Tally) -> None:
        """Know the truth."""
        self.usages = {usage.name: usage for usage in usages}
        self.truths = {usage.name: Truth(usage) for usage in self.usages.values()}
        self.tokens: dict[str, str] = {}
        self.cycles: dict[tuple[str, int], Cycle] = {}
        self._tally = tally
        self._states: dict[tuple[str, int], str] = {}
        self._statements: dict[tuple[str, int], str] = {}
        self._bounds: dict[tuple[str, int, int], Bounds] = {}
        self.books = Books()
        self.doubt = Doubt(self.usages.values())
        self._decided_ms: dict[tuple[str, int], int] = {}
        self._properties = {
            (usage.name, source["name"]): effective(Source.model_validate(source)).properties
            for usage in self.usages.values()
            for source in usage.spec["sources"]
        }
        self._judged: set[tuple[str, str]] = set()

    def kept(self, poll: PollRecord, decides: bool) -> None:
        """The ledger has kept a poll; False: it is to be repeated before it decides anything."""
        self.books.kept(poll, decides=decides)
        self.doubt.kept(poll)

    # --- what the ledger holds -------------------------------------------------------------------

    def ledger(self, path: Path, *, thorough: bool = False) -> None:
        """Check everything durable in the ledger's file."""
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
            connection.row_factory = sqlite3.Row
            names = dict(connection.execute("select id, name from meters"))
            self._documents(connection, names)
            for row in connection.execute("select * from cycles order by meter_id, start_ms"):
                self._cycle(connection, names[row["meter_id"]], row, thorough=thorough)
        connection.close()

    def _documents(self, connection: sqlite3.Connection, names: Mapping[int, str]) -> None:
        tokens: dict[str, str] = {}
        chains: dict[str, list[tuple[int, str]]] = defaultdict(list)
        query = "select jti, chain_id, sequence, digest, token, meter_id, state from outbox"
        for jti, chain, sequence, digest, token, meter, state in connection.execute(query):
            tokens[jti] = token
            chains[chain].append((sequence, digest))
            need(state not in ("Rejected", "Conflict"), f"document {jti} is {state}")
            if jti not in self.tokens and meter is not None:
                self._report(names[meter], token)
        lost = self.tokens.keys() - tokens.keys()
        need(not lost, f"documents are gone: {sorted(lost)[:3]}")
        for jti, token in self.tokens.items():
            need(tokens[jti] == token, f"document {jti} has other bytes than before")
        for chain, links in chains.items():
            positions = sorted(sequence for sequence, _ in links)
            need(positions == list(range(1, len(links) + 1)), f"chain {chain} has a gap")
        self.tokens = tokens

    def _report(self, name: str, token: str) -> None:
        claims: Any = decode(token)[1]
        kind, cycle = str(claims["kind"]), claims["cycle"]
        start_ms, end_ms = 1000 * cycle["start"], 1000 * cycle["end"]
        as_of_ms = 1000 * cycle["asOf"]
        truth = self.truths[name]
        what = f"{kind} report {claims['jti']} of {name}, cycle {cycle['index']}"
        known = self.cycles.get((name, start_ms))
        need(known is None or known.end_ms == end_ms, f"{what}: another end than the ledger's")
        about = Cycle(cycle["index"], start_ms, end_ms)
        whole = truth.windows(about)
        count = whole[CYCLE_BIT] if as_of_ms == end_ms else truth.active(start_ms, as_of_ms)
        asked = self._asked(name, about, count, 1000 * claims["iat"])
        accuracy = self.judge(what, claims, asked)
        self._tally.statements[f"{kind} {accuracy}"] += 1
        for day, active in enumerate(claims["dailyActiveUsers"] or ()):
            if active is None:
                self._tally.statements["day null"] += 1
                continue
            day_end = start_ms + (day + 1) * DAY_MS
            least = whole[day]
            if as_of_ms < day_end:
                least = truth.active(day_end - DAY_MS, as_of_ms)
            message = f"{what}: day {day} says {active}, the truth is {least}"
            need(active <= least or not asked.lower, message)
            self._tally.statements["day lower bound"] += 1
        if kind == "final":
            self._tally.cycles[accuracy] += 1

    def judge(self, what: str, claims: Mapping[str, Any], asked: Asked) -> str:
        """Compare numbers that are stated with the truth; return their class."""
        accuracy = str(claims.get("accuracy"))
        numbers = claims.get("activeUsers"), claims.get("activeUsersUpperBound")
        wrong = contradiction(accuracy, *numbers, asked.truth(*numbers))
        need(wrong is None, f"{what} {wrong}")
        return accuracy

    def _asked(self, name: str, cycle: Cycle, truth: int, until_ms: int) -> Asked:
        asked = self.doubt.asked(self.usages[name], cycle, until_ms, truth)
        if self.usages[name].lies:
            self._tally.notes[f"lies, {asked.words}"] += 1
        return asked

    def _cycle(
        self, connection: sqlite3.Connection, name: str, row: sqlite3.Row, *, thorough: bool
    ) -> None:
        cycle = Cycle(row["cycle_index"], row["start_ms"], row["end_ms"])
        at = (name, cycle.start_ms)
        first = self.cycles.setdefault(at, cycle)
        need(first == cycle, f"cycle {cycle.index} of {name} has moved")
        state, before = row["state"], self._states.get(at, "Open")
        need(_ORDER[state] >= _ORDER[before], f"cycle {cycle} of {name} is {state} after {before}")
        settled = before == "Final" and not thorough
        self._states[at] = state
        statement = row["statement"]
        if at in self._statements:
            need(self._statements[at] == statement, f"cycle {cycle} of {name}: decision changed")
        elif statement is not None:
            self._statements[at] = statement
            self._decided(name, cycle, statement, row["intent_ms"])
        if not settled and not row["wiped"]:
            self._facts_of(connection, name, row["meter_id"], row["id"], cycle)

    def _decided(self, name: str, cycle: Cycle, text: str, at_ms: int) -> None:
        statement = load_statement(text)
        bounds, truth = statement.bounds, self.truths[name].windows(cycle)
        self._decided_ms[name, cycle.start_ms] = at_ms
        asked = self._asked(name, cycle, truth[CYCLE_BIT], at_ms)
        claims = {
            "accuracy": str(bounds.stated),
            "activeUsers": bounds.active_users,
            "activeUsersUpperBound": bounds.active_users_upper_bound,
        }
        what = f"decision on cycle {cycle.index} of {name}"
        honest = not self.usages[name].lies
        conflict = bounds.accuracy is Accuracy.CONFLICT
        need(not (honest and conflict), f"{what}: conflict {statement.refuted}")
        accuracy = self.judge(what, claims, asked)
        self._tally.statements[f"decision {accuracy}"] += 1
        if any(store.traits.removal is Removal.LISTED_ONCE for store in self.usages[name].stores):
            self._tally.notes[f"decided by roster {accuracy}"] += 1

    def _facts_of(
        self, connection: sqlite3.Connection, name: str, meter: int, cycle_id: int, cycle: Cycle
    ) -> None:
        stores = []
        usage = self.usages[name]
        query = "select * from stores where cycle_id = ?"
        for row in connection.execute(query, (cycle_id,)).fetchall():
            properties = replace(
                self._properties[name, row["source"]], ids_stable=bool(row["ids_stable"])
            )
            at = (meter, cycle.start_ms)
            facts = read_facts(connection, row, at)
            what = f"facts of {name}/{row['source']} in cycle {cycle.index}"
            key = (*at, row["source"], row["domain"])
            self.books.compare(what, key, facts, honest=not usage.lies)
            stores.append(Store(row["domain"], facts, properties, cycle))
        declared = len(usage.shops)
        for missing in range(len(stores), declared):
            stores.append(Store(f"never read {missing}", Facts(), Properties(ids_stable=True)))
        truth = self.truths[name].windows(cycle)
        combine = Combine(usage.spec["combine"])
        if usage.lies:
            return  # what is stated is judged; the rules for what is refuted are the ledger's
        for window, count in truth.items():
            self._window(name, cycle, window, evaluate(stores, combine, window), count)

    def _window(self, name: str, cycle: Cycle, window: int, bounds: Bounds, truth: int) -> None:
        lower, upper = bounds.lower, bounds.upper
        what = "the cycle" if window == CYCLE_BIT else f"day {window}"
        message = (
            f"{what} of cycle {cycle.index} of {name} is proved {lower}..{upper}, truth {truth}"
        )
        need(not bounds.conflict, f"{message}: conflict")
        need(lower <= truth and (upper is None or truth <= upper), message)
        before = self._bounds.get((name, cycle.start_ms, window))
        if before is not None:
            need(before.lower <= lower, f"{message}: the lower bound fell from {before.lower}")
            narrower = before.upper is None or (upper is not None and upper <= before.upper)
            need(narrower, f"{message}: the upper bound rose from {before.upper}")
        self._bounds[name, cycle.start_ms, window] = bounds

    # --- what people see -------------------------------------------------------------------------

    def status(self, name: str, status: Mapping[str, Any]) -> None:
        """Check the numbers in a LicenseUsage's status."""
        cycle = status.get("cycle")
        if cycle is not None and status.get("asOfTime"):
            start_ms, as_of_ms = _ms(cycle["startTime"]), _ms(status["asOfTime"])
            seen = (name, f"{start_ms} {as_of_ms} {status.get('activeUsers')}")
            if seen not in self._judged:
                self._judged.add(seen)
                end_ms = _ms(cycle["endTime"])
                truth = self.truths[name].active(start_ms, min(as_of_ms, end_ms))
                about = Cycle(cycle["index"], start_ms, end_ms)
                asked = self._asked(name, about, truth, as_of_ms)
                accuracy = self.judge(f"status of {name}", status, asked)
                self._tally.statements[f"status {accuracy}"] += 1
        for ended in status.get("history", ()):
            start_ms, end_ms = _ms(ended["startTime"]), _ms(ended["endTime"])
            seen = (name, json.dumps(ended, sort_keys=True))
            if seen in self._judged:
                continue
            self._judged.add(seen)
            about = Cycle(ended["index"], start_ms, end_ms)
            truth = self.truths[name].windows(about)[CYCLE_BIT]
            what = f"history of {name}, cycle {ended['index']}"
            asked = self._asked(name, about, truth, self._decided_ms.get((name, start_ms), 1 << 62))
            if ended["state"] == "Amended" and self.usages[name].lies:
                continue  # its report is judged, which says when it was made
            accuracy = self.judge(what, ended, asked)
            self._tally.statements[f"history {ended['state']} {accuracy}"] += 1

    def states(self, name: str) -> dict[int, str]:
        """Return the state of each cycle of an object, by its start."""
        return {start: state for (of, start), state in self._states.items() if of == name}


def _ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp()) * 1000
