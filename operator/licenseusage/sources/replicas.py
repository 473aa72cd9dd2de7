"""Several ready pods serve one product: which failures are one pod's own, and what is said then.

An answer that is no list of users may be the matter of one replica, which starts, stops, is of an
older version or has lost its database: the next one is asked, from the list's first page on, which
is the same as another poll. Not so a refusal of the account or of more requests, which would only
be repeated; nor what a list itself says, since people's times in it are those of every replica.
"""

from collections.abc import Sequence

from licenseusage.sources.failures import PollError, Reason
from licenseusage.sources.poll import Target

_OF_ONE_POD = frozenset(
    {
        Reason.UNREACHABLE,
        Reason.NOT_NATS,
        Reason.JETSTREAM_UNAVAILABLE,
        Reason.BROKER_FAILED,
        Reason.STREAM_NOT_FOUND,
        Reason.CONNECTION_LOST,
        Reason.NOT_HTTP,
        Reason.CERTIFICATE_INVALID,
        Reason.TLS_FAILED,
        Reason.SERVER_ERROR,
        Reason.PATH_NOT_FOUND,
        Reason.UNEXPECTED_STATUS,
        Reason.REQUEST_TIMEOUT,
        Reason.ANSWER_EMPTY,
        Reason.ANSWER_TRUNCATED,
        Reason.ANSWER_NOT_JSON,
        Reason.ANSWER_INVALID_JSON,
        Reason.ITEMS_NOT_A_LIST,
    }
)
_SHOWN = 3


def of_one_pod(error: PollError) -> bool:
    """Whether another pod may answer what this one could not."""
    return error.failure.reason in _OF_ONE_POD


def silence_seconds(declared: float, left: float, *, others: bool) -> float:
    """Return how long a pod may send nothing.

    Args:
        declared: What one request may take of it.
        left: Of the poll's time.
        others: There are pods to ask after this one, for which half of the time is kept.
    """
    return min(declared, left / 2) if others else declared


def none_answered(failed: Sequence[tuple[Target, PollError]]) -> PollError:
    """Return the failure of a poll that no pod has answered.

    Args:
        failed: The pods in the order asked, at least two, and why each did not answer.
    """
    last, error = failed[-1]
    reason = Reason(error.failure.reason)
    return PollError(
        reason,
        f"none of {len(failed)} ready pods answered as it should; the last{_named(last)}: {error}",
        stalls=all(one.failure.stalls for _, one in failed),
    )


def after(error: PollError, failed: Sequence[tuple[Target, PollError]]) -> PollError:
    """Return a failure that stopped the poll, with what was asked before it."""
    if not failed:
        return error
    failure = error.failure
    text = f"{failure.message} Before it {_those(failed)} did not answer as it should."
    return PollError(
        Reason(failure.reason), text, stalls=failure.stalls, facts_stand=error.facts_stand
    )


def note(failed: Sequence[tuple[Target, PollError]], answered: Target | None) -> str | None:
    """Return what is said of pods that were asked in vain before one answered; None: nothing.

    Another address of the same endpoint is no other pod.
    """
    if not failed or answered is None or answered.label == failed[0][0].label:
        return None
    whose = "its log" if len(failed) == 1 else "their logs"
    return f"{_those(failed)} did not answer as it should; {answered.label} did. See {whose}."


def _those(failed: Sequence[tuple[Target, PollError]]) -> str:
    shown = [f"{pod.label} ({error.failure.reason})" for pod, error in failed[:_SHOWN]]
    more = len(failed) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def _named(pod: Target) -> str:
    return f", {pod.label}" if pod.label else ""
