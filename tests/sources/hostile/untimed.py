"""Lists without times: whoever is listed was active lately, so that a row is all there is."""

from typing import Any

from licenseusage.sources.poll import CycleRequest
from tests.sources.hostile.case import LEAK, AtLeast, Case, Complete, Fails
from tests.sources.product import CYCLE, answer

LATELY: dict[str, Any] = {
    "users": {"id": "id", "lastActive": None},
    "window": {"type": "Rolling", "days": 7},
    "guarantees": {"removal": "Never", "ids": "Stable"},
}
_ASKED = {"cycles": (CycleRequest(CYCLE, roster=True),)}
_ANN, _BOB = {"id": "ann"}, {"id": "bob"}


def _listed(*rows: Any, headers: dict[str, str | None] | None = None, **around: Any) -> bytes:
    return answer({"value": list(rows), **around}, headers=headers)


def _case(name: str, served: bytes, expected: Any, **read: Any) -> Case:
    return Case(f"without times, {name}", served, expected, LATELY | read, _ASKED)


CASES = [
    _case("two people", _listed(_ANN, _BOB), Complete(2)),
    _case("people with a time that nobody asked for", _listed(
        {**_ANN, "seen": "1970-01-01T00:00:00Z"}, {**_BOB, "seen": "9999-12-31"}), Complete(2)),
    _case("nobody", _listed(), AtLeast(0, "EmptyListing")),
    _case("null in place of the list", answer({"value": None}), Fails("ItemsNotAList")),
    _case("an object in place of the list", answer({"value": {LEAK: 1}}), Fails("ItemsNotAList")),
    _case("somebody twice", _listed(_ANN, _BOB, _ANN), AtLeast(2, "RowsRepeated")),
    _case("somebody without an id", _listed(_ANN, {"name": LEAK}), Fails("IdMissing")),
    _case("somebody with an empty id", _listed(_ANN, {"id": ""}), Fails("IdMissing")),
    _case("an id that is an object", _listed(_ANN, {"id": {LEAK: 1}}), Fails("IdInvalid")),
    _case("an id that is true", _listed(_ANN, {"id": True}), Fails("IdInvalid")),
    _case("an id that is half a sign", answer(
        b'{"value": [{"id": "ann"}, {"id": "\\ud83d' + LEAK.encode() + b'"}]}'),
        AtLeast(1, "IdUnreadable")),
    _case("a total that is larger", _listed(_ANN, _BOB, total=3), AtLeast(2, "ListCut")),
    _case("a next link", _listed(_ANN, _BOB, next="/users?page=2"), AtLeast(2, "ListCut")),
    _case("a header that says more", _listed(
        _ANN, headers={"Link": '</users?page=2>; rel="next"'}), AtLeast(1, "ListCut")),
    _case("two lists of one name", answer(
        b'{"value": [{"id": "ann"}], "value": [{"id": "bob"}]}'), AtLeast(1, "AnswerAmbiguous")),
    _case("two ids in one row", answer(
        b'{"value": [{"id": "ann", "id": "bob"}]}'), AtLeast(1, "AnswerAmbiguous")),
    _case("a page to sign in", answer(
        b"<html>" + LEAK.encode() + b"</html>", headers={"Content-Type": "text/html"}),
        Fails("AnswerNotJSON")),
    _case("everybody excluded", _listed({"id": "ann", "bot": True}), Complete(0),
          users=LATELY["users"] | {"exclude": "bot"}),
    _case("ids that may be renamed", _listed(_ANN, _BOB), Complete(0),
          guarantees={"removal": "Never", "ids": "Renamable"}),
    _case("a list that may lose people", _listed(_ANN, _BOB), Complete(2),
          guarantees={"removal": "Unknown", "ids": "Stable"}),
    _case("a window as long as the cycle", _listed(_ANN, _BOB), Complete(0),
          window={"type": "Rolling", "days": 30}),
]  # fmt: skip
