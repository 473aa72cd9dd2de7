"""What the killed processes did, in a file: one JSON array a line, each written by one system call.

A line is in the kernel's hands when the call returns, so a SIGKILL right after loses none; only
the last line of a process can be cut. Pseudonyms are in it: it belongs into the run's folder only.
"""

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

T = TypeVar("T")

PASSED: Final = "passed"
KILLED: Final = "killed"
COMMITTED: Final = "committed"
DECIDED: Final = "decided"
SIGNED: Final = "signed"


class Journal:
    """The writing end, in the process that is killed."""

    def __init__(self, path: Path) -> None:
        """Append to ``path``."""
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def write(self, kind: str, content: object) -> None:
        """Write one line."""
        os.write(self._file, json.dumps([kind, content]).encode() + b"\n")


class Tail:
    """The reading end, in the process that kills: what is new since the last look."""

    def __init__(self, path: Path) -> None:
        """Follow ``path``, which need not exist yet."""
        path.touch(0o600)
        self._file = path.open("rb")
        self._rest = b""

    def new(self) -> list[tuple[str, Any]]:
        """Return the whole lines that have come."""
        *lines, self._rest = (self._rest + self._file.read()).split(b"\n")
        return [line for text in lines if (line := _line(text)) is not None]

    def cut(self) -> None:
        """Forget half a line: its writer is dead."""
        self._rest = b""

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class Decision(NamedTuple):
    """When it was decided to close a cycle, and with which bounds."""

    at_ms: int
    lower: int | None
    upper: int | None


@dataclass(slots=True)
class Committed:
    """Everything that the processes had made durable before they died.

    Attributes:
        sure: (object, start of the cycle in ms) -> pseudonym in hex -> windows proved.
        decided: (object, start of the cycle) -> decisions to close it, as commits returned them,
            each once.
        before: (object, start of the cycle) -> what of ``sure`` was there before the decision.
        settled: Cycles whose final was signed before an old ledger was restored.
        given_up: Tokens that are lost for good with a ledger -> whether an object showed them, so
            that only a person gives them up.
        replaced: Tokens that a restored backup does not hold. They stand, unless a person goes on
            behind a head without them.
        adopted: Chains of which a person has named a head, in ledgers that were lost or replaced.
        set_aside: Digests of what those chains went on without.
        signed: Document's jti -> its tokens, likewise: one each, or something went wrong.
    """

    sure: dict[tuple[str, int], dict[str, int]] = field(default_factory=dict)
    decided: dict[tuple[str, int], list[Decision]] = field(default_factory=dict)
    before: dict[tuple[str, int], dict[str, int]] = field(default_factory=dict)
    signed: dict[str, list[str]] = field(default_factory=dict)
    settled: set[tuple[str, int]] = field(default_factory=set)
    given_up: dict[str, bool] = field(default_factory=dict)
    replaced: set[str] = field(default_factory=set)
    adopted: set[str] = field(default_factory=set)
    set_aside: set[str] = field(default_factory=set)

    def add(self, kind: str, content: Any) -> None:  # noqa: ANN401 - JSON
        """Take one line of a journal in."""
        if kind == COMMITTED:
            name, start, users = content
            known = self.sure.setdefault((name, start), {})
            for user, word in users.items():
                known[user] = known.get(user, 0) | word
        elif kind == DECIDED:
            name, start, at_ms, lower, upper = content
            if (name, start) in self.settled:
                return
            self.before.setdefault((name, start), dict(self.sure.get((name, start), {})))
            _once(self.decided.setdefault((name, start), []), Decision(at_ms, lower, upper))
        elif kind == SIGNED:
            jti, token = content
            _once(self.signed.setdefault(jti, []), token)

    def give_up(self, tokens: Mapping[str, bool], unsure: Iterable[tuple[str, int]]) -> None:
        """Take note of what is lost for good, unless an object or a person brings it back.

        Args:
            tokens: Documents -> whether an object shows them.
            unsure: Cycles whose finals are among them: whatever is decided anew may stand.
        """
        self.given_up |= tokens
        for cycle in unsure:
            self.settled.add(cycle)
            for facts in (self.sure, self.decided, self.before):
                facts.pop(cycle, None)

    def forget_unsigned(self, finals: Iterable[tuple[str, int]]) -> None:
        """Ask no more for what a restore of an old ledger loses: what no final says.

        What a signed final says stands: whatever the old ledger decides, that takes precedence.

        Args:
            finals: Object and start of each cycle with a signed final.
        """
        self.settled |= set(finals)
        for facts in (self.sure, self.decided, self.before):
            for cycle in facts.keys() - self.settled:
                del facts[cycle]

    def join(self, other: "Committed") -> None:
        """Take everything of a later process in."""
        for cycle, words in other.before.items():
            if cycle not in self.before:
                known = self.sure.get(cycle, {})
                both = known.keys() | words.keys()
                self.before[cycle] = {
                    user: known.get(user, 0) | words.get(user, 0) for user in both
                }
        for (name, start), users in other.sure.items():
            self.add(COMMITTED, [name, start, users])
        for (name, start), decisions in other.decided.items():
            for decision in decisions:
                self.add(DECIDED, [name, start, *decision])
        for jti, tokens in other.signed.items():
            for token in tokens:
                self.add(SIGNED, [jti, token])


def _once(seen: list[T], item: T) -> None:
    if item not in seen:
        seen.append(item)


def _line(text: bytes) -> tuple[str, Any] | None:
    try:
        kind, content = json.loads(text)
    except ValueError:
        return None  # the end of a process that died while writing
    return kind, content
