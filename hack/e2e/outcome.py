"""What a run did, step by step: shown while it runs, and at its end for people or programs."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Final

from hack.controlplane.progress import Progress
from hack.e2e.errors import Ended

PASSED: Final = "passed"
FAILED: Final = "failed"


@dataclass(frozen=True, slots=True)
class Step:
    """One step that ended.

    Attributes:
        way: ``overlay``, ``chart``, or empty where both share it.
        name: What was done.
        result: ``passed`` or ``failed``.
        seconds: How long it took.
        seen: What was seen, or what was wrong.
    """

    way: str
    name: str
    result: str
    seconds: float
    seen: str


@dataclass(slots=True)
class Outcome:
    """The steps so far.

    Attributes:
        progress: Shows the running one.
        steps: Those that ended.
        evidence: Folder with what was seen when a step failed.
    """

    progress: Progress
    steps: list[Step] = field(default_factory=list)
    evidence: str | None = None

    def step(self, way: str, name: str, do: Callable[[], str | None]) -> None:
        """Do one step and note it; ``do`` returns what it saw.

        Raises:
            Ended: It failed.
        """
        begun = time.monotonic()
        title = f"{way}: {name}" if way else name

        def note(result: str, seen: str) -> None:
            seconds = round(time.monotonic() - begun, 1)
            self.steps.append(Step(way, name, result, seconds, seen))

        try:
            with self.progress.step(title):
                seen = do() or ""
        except Ended as error:
            note(FAILED, str(error))
            raise
        if seen:
            self.progress.say(f"  {seen}")
        note(PASSED, seen)

    def json(self, *, image: str, context: str) -> str:
        """Return the run as a document: ``passed``, and each step."""
        document = {
            "passed": bool(self.steps) and all(step.result == PASSED for step in self.steps),
            "context": context,
            "image": image,
            "evidence": self.evidence,
            "steps": [asdict(step) for step in self.steps],
        }
        return json.dumps(document, indent=2)
