"""Whether the demo proved what it promises: each point with what was seen."""

from dataclasses import dataclass

from hack.demo.watching import Snapshot


@dataclass(frozen=True, slots=True)
class Point:
    """One thing that must be true."""

    claim: str
    seen: str
    true: bool


def points(snapshot: Snapshot, truth: int, *, licensed: bool) -> list[Point]:
    """Judge the ended cycle against the truth; the receipt is judged by the command line."""
    ended = snapshot.ended
    number, state = ended.get("activeUsers"), str(ended.get("state", "not ended"))
    words = f"{number} reported, {truth} true" if licensed else f"{number} stated, {truth} true"
    judged = [
        Point("the ended cycle is Final", state, state == "Final"),
        Point("its number is the truth", words, number == truth),
        Point("and proved to be it", str(ended.get("accuracy")), ended.get("accuracy") == "Exact"),
    ]
    if not licensed:
        none = f"{len(snapshot.reports)} reports"
        return [*judged, Point("nothing is reported", none, not snapshot.reports)]
    final = snapshot.final
    text = final.get("spec", {}).get("activeText", "none")
    delivery = (final.get("status") or {}).get("delivery", "none")
    return [
        *judged,
        Point("the final report says the same", text, text == ended.get("activeText")),
        Point("the vendor has accepted it", delivery, delivery == "Accepted"),
    ]


def settled(snapshot: Snapshot, *, licensed: bool) -> bool:
    """Whether there is nothing left to wait for."""
    if snapshot.ended.get("state") != "Final":
        return False
    delivery = (snapshot.final.get("status") or {}).get("delivery")
    return not licensed or delivery in ("Accepted", "Rejected", "Conflict")
