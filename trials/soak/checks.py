"""What must hold, whatever happens: compared with the truth, and with what was seen before.

The ledger is read from its file, beside the operator: what is checked is what is durable.
"""

import json
import sqlite3
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
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

_WAITS = ("AwaitingApproval", "Pending", "Sending")
_ORDER = {"Open": 0, "Closing": 1, "Final": 2}


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of a ledger until a backup was made of it, or until it was replaced."""

    tokens: dict[str, str]
    cycles: dict[tuple[str, int], Cycle]
    states: dict[tuple[str, int], str]
    statements: dict[tuple[str, int], str]
    bounds: dict[tuple[str, int, int], Bounds]
    books: Books


class Checker:
    """Everything that was ever seen of one history."""

    def __init__(self, usages: Iterable[Usage], tally: Tally) -> None:
        """Know the truth."""
        self.usages = {usage.name: usage for usage in usages}
        self.truths = {usage.name: Truth(usage) for usage in self.usages.values()}
        self.tokens: dict[str, str] = {}
        self.accepted: dict[str, tuple[str | None, str, int]] = {}
        self.cycles: dict[tuple[str, int], Cycle] = {}
        self._ever: dict[str, str] = {}
        self._finals: dict[tuple[str, int], tuple[str, int | None, int | None]] = {}
        self._restored = False
        self._given_up: dict[str, bool] = {}
        self.signed_anew: dict[str, str] = {}
        self._waiting: dict[str, list[str]] = {}
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
        self._judged_reports: set[str] = set()

    def kept(self, poll: PollRecord, decides: bool) -> None:
        """The ledger has kept a poll; False: it is to be repeated before it decides anything."""
        self.books.kept(poll, decides=decides)
        self.doubt.kept(poll)

    # --- restores --------------------------------------------------------------------------------

    def seen(self) -> Seen:
        """Return what was seen until now; what comes later does not change it."""
        return Seen(
            dict(self.tokens),
            dict(self.cycles),
            dict(self._states),
            dict(self._statements),
            dict(self._bounds),
            deepcopy(self.books),
        )

    def restored(self, seen: Seen) -> None:
        """An older ledger is in use: what it must hold is what it held then.

        Its documents do not change: what was signed since must come back byte for byte, or never.
        """
        self.tokens, self.cycles = dict(seen.tokens), dict(seen.cycles)
        self._states, self._statements = dict(seen.states), dict(seen.statements)
        self._bounds = dict(seen.bounds)
        self._restored = True
        self.books.restored(seen.books)

    def heads(self) -> list[str]:
        """Return the newest document of each chain of the ledger, which a restore notes."""
        newest: dict[str, str] = {}
        for jti in sorted(self.tokens):
            newest[jti.rpartition("-")[0]] = self.tokens[jti]
        return list(newest.values())

    def merged(self, seen: Seen) -> None:
        """The facts of another ledger were added."""
        self.books.merged(seen.books)

    def given_up(self, shown: Collection[str]) -> None:
        """What the ledger does not hold now may never come back; its positions are used again.

        Args:
            shown: What is known to exist all the same: only a person gives it up.
        """
        lost = set(self._ever.values()) - set(self.tokens.values())
        self._given_up |= dict.fromkeys(lost, False) | dict.fromkeys(lost & set(shown), True)

    # --- what the ledger holds -------------------------------------------------------------------

    def ledger(self, path: Path, *, thorough: bool = False) -> None:
        """Check everything durable in the ledger's file."""
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
            connection.row_factory = sqlite3.Row
            names = dict(connection.execute("select id, name from meters"))
            self._documents(connection, names)
            ended: dict[int, int] = {}
            for row in connection.execute("select * from cycles order by meter_id, start_ms"):
                name = names[row["meter_id"]]
                apart = ended.get(row["meter_id"], 0) <= row["start_ms"]
                need(apart, f"cycle {row['cycle_index']} of {name} overlaps the one before")
                ended[row["meter_id"]] = row["end_ms"]
                self._cycle(connection, name, row, thorough=thorough)
        connection.close()

    def _documents(self, connection: sqlite3.Connection, names: Mapping[int, str]) -> None:
        tokens: dict[str, str] = {}
        self.accepted = {}
        self._waiting = defaultdict(list)
        chains: dict[str, list[tuple[int, str]]] = defaultdict(list)
        query = "select jti, chain_id, sequence, digest, token, meter_id, state from outbox"
        for jti, chain, sequence, digest, token, meter, state in connection.execute(query):
            tokens[jti] = token
            chains[chain].append((sequence, digest))
            need(state not in ("Rejected", "Conflict"), f"document {jti} is {state}")
            if state in _WAITS and meter is not None:
                self._waiting[names[meter]].append(jti)
            if state == "Accepted":
                name = None if meter is None else names[meter]
                self.accepted[jti] = (name, chain, sequence)
            before = self._ever.setdefault(jti, token)
            if before != token:
                by_a_person = self._given_up.get(before)
                known = by_a_person is not None and _goes_on(
                    connection, chain, sequence, by_a_person=by_a_person
                )
                need(known, f"document {jti} was signed twice, with other bytes")
                self._ever[jti], self.signed_anew[before] = token, jti
                self._tally.notes["documents signed anew"] += 1
            if token not in self._judged_reports and meter is not None:
                self._judged_reports.add(token)
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
            numbers = claims.get("activeUsers"), claims.get("activeUsersUpperBound")
            self._finals[name, start_ms] = (accuracy, *numbers)
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
        known = self._statements.get(at)
        if known is not None and not (self._restored and self._is_signed(at, statement)):
            need(known == statement, f"cycle {cycle} of {name}: decision changed")
        elif statement is not None and known != statement:
            self._statements[at] = statement
            self._decided(name, cycle, statement, row["intent_ms"])
        if not settled and not row["wiped"]:
            self._facts_of(connection, name, row["meter_id"], row["id"], cycle)

    def _is_signed(self, at: tuple[str, int], text: str | None) -> bool:
        """Whether a decision is what a lost and recovered final says; then it takes precedence."""
        if text is None or at not in self._finals:
            return False
        bounds = load_statement(text).bounds
        numbers = (bounds.active_users, bounds.active_users_upper_bound)
        return (str(bounds.stated), *numbers) == self._finals[at]

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
            if usage.kind == "Lists":
                self.books.compare(what, key, facts, honest=not usage.lies)
            stores.append(Store(row["domain"], facts, properties, cycle))
        declared = len(usage.shops)
        for missing in range(len(stores), declared):
            stores.append(Store(f"never read {missing}", Facts(), Properties(ids_stable=True)))
        truth = self.truths[name].windows(cycle)
        combine = Combine(usage.spec["combine"])
        if usage.kind != "Lists":
            self._named(name, cycle, stores, truth)
            return  # bounds of these rest on more than facts of users: what is stated is judged
        if usage.lies:
            return  # what is stated is judged; the rules for what is refuted are the ledger's
        for window, count in truth.items():
            self._window(name, cycle, window, evaluate(stores, combine, window), count)

    def _named(
        self, name: str, cycle: Cycle, stores: Iterable[Store], truth: Mapping[int, int]
    ) -> None:
        """Whoever is named was active, whatever is stated of it; nothing that holds is refuted."""
        named: dict[bytes, int] = {}
        for store in stores:
            refuted = store.facts.refuted and not self.usages[name].lies
            need(not refuted, f"facts of {name}: refuted, although all that is declared holds")
            for user, word in store.facts.sure.items():
                named[user] = named.get(user, 0) | word
        for window, count in truth.items():
            people = sum(word >> window & 1 for word in named.values())
            message = f"window {window} of cycle {cycle.index} of {name}: {people} are named"
            need(people <= count, f"{message}, the truth is {count}")

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

    def waiting(self, name: str) -> list[str]:
        """Return the reports of an object that the vendor has not signed for."""
        return self._waiting.get(name, [])

    def states(self, name: str) -> dict[int, str]:
        """Return the state of each cycle of an object, by its start."""
        return {start: state for (of, start), state in self._states.items() if of == name}


def _goes_on(
    connection: sqlite3.Connection, chain: str, sequence: int, *, by_a_person: bool
) -> bool:
    """Whether a chain goes on before a position: behind what is known, or as a person decided."""
    events = "event = 'Adopted'" if by_a_person else "event in ('Adopted', 'Resumed')"
    query = f"select 1 from recoveries where chain_id = ? and sequence < ? and {events}"  # noqa: S608
    return connection.execute(query, (chain, sequence)).fetchone() is not None


def _ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp()) * 1000
