"""Several ready pods of one product: which failures concern one pod only, and their messages.

An answer that is no list of users may be the matter of one replica, which starts, stops, is of an
older version or has lost its database: the next one is asked, from the list's first page on, which
is the same as another poll. Not so a refusal of the account or of more requests, which would only
be repeated; nor what a list itself says, since people's times in it are those of every replica.

Whether the pods that do answer keep one store is seen, and means something, of its own kind: logs
are told apart by what they are called and nothing of them stands (`logs.collect`); lists by their
users and times once each was read, and their rows stand (`lists.agreement`); numbers by their
values, which leaves no upper bound (`counts.facts`).
"""

from collections.abc import Iterator, Sequence

from licenseusage.reasons import Reason
from licenseusage.sources.failures import PollError
from licenseusage.sources.poll import Target
from licenseusage.sources.whereabouts import Whereabouts

_OF_ONE_POD = frozenset(
    {
        Reason.POD_GONE,
        Reason.UNREACHABLE,
        Reason.NOT_NATS,
        Reason.NOT_PRIMARY,
        Reason.NOT_REDIS,
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
        Reason.ANSWER_NOT_METRICS,
        Reason.METRIC_NOT_FOUND,
        Reason.COUNT_MISSING,
        Reason.COUNT_INVALID,
    }
)
_SHOWN = 3


class Replicas:
    """The pods of one poll, asked one after the other until one gives the whole list."""

    def __init__(self, whereabouts: Whereabouts) -> None:
        """Begin with nobody asked."""
        self._whereabouts = whereabouts
        self._asked: Target | None = None
        self._failed: list[tuple[Target, PollError]] = []

    def __iter__(self) -> Iterator[Target]:
        """Yield the next pod to ask.

        Raises:
            PollError: Nobody is left, or it cannot be found out who is; with what was asked.
        """
        while (target := self._next()) is not None:
            self._asked = target
            yield target
        if len(self._failed) != 1:
            self._asked = None
        raise _none_answered(self._failed)

    def every(self) -> Iterator[Target]:
        """Yield every pod, one after the other.

        Raises:
            PollError: There is none, or it cannot be found out which there are.
        """
        nobody = True
        while (target := self._next()) is not None:
            self._asked, nobody = target, False
            yield target
        self._asked = None
        if nobody:
            raise _none_answered(())

    def _next(self) -> Target | None:
        try:
            return self._whereabouts.next()
        except PollError as error:
            self._asked = None
            raise _after(error, self._failed) from None

    @property
    def label(self) -> str:
        """The name of a failure's or result's pod in messages; "": no single one."""
        return self._asked.label if self._asked else ""

    def failed(self, error: PollError, *, stop: bool = False) -> None:
        """Note why the pod asked last has failed.

        Args:
            error: What it did.
            stop: Nobody else is to be asked, whatever it was.

        Raises:
            PollError: Nobody else is asked after this.
        """
        if stop or error.failure.reason not in _OF_ONE_POD or self._asked is None:
            raise _after(error, self._failed) from None
        self._failed.append((self._asked, error))

    def note(self) -> str | None:
        """Return a sentence about pods that failed before one answered; None: there were none.

        Another address of the same endpoint is no other pod.
        """
        if not self._failed or self.label in ("", self._failed[0][0].label):
            return None
        whose = "its log" if len(self._failed) == 1 else "their logs"
        return f"{_those(self._failed)} did not answer as it should; {self.label} did. See {whose}."


def _none_answered(failed: Sequence[tuple[Target, PollError]]) -> PollError:
    """Return the failure of a poll that no pod has answered."""
    if not failed:
        return PollError(Reason.NO_READY_PODS, "no ready pod to ask.")
    last, error = failed[-1]
    if len(failed) == 1:
        return error
    name = f", {last.label}" if last.label else ""
    return PollError(
        error.failure.reason,
        f"none of {len(failed)} ready pods answered as it should; the last{name}: {error}",
        stalls=all(poll_error.failure.needs_a_person for _, poll_error in failed),
    )


def _after(error: PollError, failed: Sequence[tuple[Target, PollError]]) -> PollError:
    """Return a failure that stopped the poll, together with the pods asked before."""
    if not failed:
        return error
    failure, stand = error.failure, error.facts_stand
    text = f"{failure.message} Before it {_those(failed)} did not answer as it should."
    return PollError(failure.reason, text, stalls=failure.needs_a_person, facts_stand=stand)


def _those(failed: Sequence[tuple[Target, PollError]]) -> str:
    shown = [f"{pod.label} ({error.failure.reason})" for pod, error in failed[:_SHOWN]]
    more = len(failed) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")
