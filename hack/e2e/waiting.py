"""Waits for a state of the cluster, and says what was there instead if it does not come."""

import time
from collections.abc import Callable
from typing import Final, TypeVar

from hack.e2e.commands import Commands
from hack.e2e.errors import Failed

T = TypeVar("T")

_PAUSE_SECONDS: Final = 1.0
_HOPELESS: Final = ("ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName")


def until(
    look: Callable[[], T], true: Callable[[T], bool], what: str, *, seconds: float = 180
) -> T:
    """Look again and again until it is true; return what was seen then.

    Args:
        look: Returns the present state; its ``repr`` is shown if time runs out.
        true: Whether that is the state waited for.
        what: The state, in words: ``is not so: …``.
        seconds: How long.

    Raises:
        Failed: It was not true within ``seconds``.
    """
    end = time.monotonic() + seconds
    while True:
        seen = look()
        if true(seen):
            return seen
        if time.monotonic() > end:
            raise Failed(f"not within {seconds:.0f} s: {what}. Seen at last: {seen}")
        time.sleep(_PAUSE_SECONDS)


def available(commands: Commands, namespace: str, deployment: str, *, seconds: float = 240) -> None:
    """Wait until a Deployment's newest pods are available, and no others are left.

    Raises:
        Failed: They are not in time, or a pod's image cannot be had.
    """

    def look() -> str:
        deployed = commands.get("deployment", deployment, "-n", namespace) or {}
        pods = commands.items("pods", "-n", namespace)
        reasons = waiting_reasons(pods)
        for pod, reason, message in reasons:
            if reason in _HOPELESS:
                raise Failed(
                    f"pod {namespace}/{pod}: {reason}: {message}. Name an image that the cluster "
                    "can pull (IMAGE), or bring it there (E2E_LOAD)."
                )
        status, wanted = deployed.get("status", {}), deployed.get("spec", {}).get("replicas")
        fresh = status.get("observedGeneration") == deployed.get("metadata", {}).get("generation")
        counts = [status.get(name, 0) for name in ("replicas", "updatedReplicas", "readyReplicas")]
        if fresh and counts == [wanted] * 3 and "True" in condition(status, "Available"):
            return ""
        words = [f"{pod} waits: {reason} {message}".strip() for pod, reason, message in reasons]
        return "; ".join([f"replicas, updated, ready {counts} of {wanted}", *words])

    until(look, lambda seen: seen == "", f"{namespace}/{deployment} is available", seconds=seconds)


def condition(status: dict[str, object], kind: str) -> str:
    """Return a condition as ``True Reason: message``; empty: there is none."""
    conditions = status.get("conditions") or ()
    for entry in conditions if isinstance(conditions, list) else ():
        if entry["type"] == kind:
            return f"{entry['status']} {entry.get('reason', '')}: {entry.get('message', '')}"
    return ""


def waiting_reasons(pods: list[dict[str, object]]) -> list[tuple[str, str, str]]:
    """Return (pod, reason, message) of each container that waits, and of pods without a node."""
    reasons: list[tuple[str, str, str]] = []
    for pod in pods:
        name, status = pod["metadata"]["name"], pod.get("status", {})  # type: ignore[index]
        assert isinstance(status, dict)  # noqa: S101 - as the API has it
        every = [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]
        for container in every:
            waits = container.get("state", {}).get("waiting")
            if waits:
                reasons.append((name, waits.get("reason", ""), waits.get("message", "")))
        unscheduled = condition(status, "PodScheduled")
        if unscheduled.startswith("False"):
            reasons.append((name, "Unscheduled", unscheduled))
    return reasons
