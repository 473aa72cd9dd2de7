"""Which servers a poll may call: as they were seen a moment ago, and seen again where time passed.

Pods come and go, and the address of one that is gone may be another one's a few seconds later. So a
connection is only opened to a target that was there within ``Limits.look_seconds``; a connection
that is open leads to whom it was opened to.
"""

import time
from collections.abc import Callable, Collection

from licenseusage.reasons import Reason
from licenseusage.sources.failures import PollError
from licenseusage.sources.poll import Credentials, Looked, PollRequest, Target


class Whereabouts:
    """The targets and credentials of one poll."""

    def __init__(
        self,
        request: PollRequest,
        look: Callable[[], Looked] | None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin with the targets of the request, which were read a moment ago.

        Args:
            request: The poll.
            look: Asks where the source is now; None: a person has named the target.
            monotonic: Seconds.
        """
        self._targets, self._credentials = request.targets, request.credentials
        self._issuers, self._every_pod = request.issuers, request.every_pod
        self._seconds, self._look, self._monotonic = request.limits.look_seconds, look, monotonic
        self._looked_at = monotonic()
        self._left, self._tried = list(request.targets), set[Target]()

    @property
    def credentials(self) -> Credentials | None:
        """The credentials to send; None: none."""
        return self._credentials

    def sent(self) -> Credentials:
        """Return the credentials of a source that has ``auth``.

        Raises:
            PollError: ``CredentialsInvalid``: none were given.
        """
        if self._credentials is None:
            raise PollError(
                Reason.CREDENTIALS_INVALID, "the source has auth, but no credentials were given."
            )
        return self._credentials

    @property
    def issuers(self) -> tuple[Target, ...]:
        """The addresses of the server that issues tokens, where that is another one.

        Raises:
            PollError: It cannot be found out.
        """
        self._refresh()
        return self._issuers

    @property
    def others(self) -> bool:
        """Whether there are targets that were not tried yet."""
        return bool(self._left)

    @property
    def left(self) -> tuple[Target, ...]:
        """The targets that were not tried yet, as they were seen last."""
        return tuple(self._left)

    def nobody_but(self, heard: Collection[Target]) -> bool:
        """Whether the source selects no pod, ready or not, but those that were heard."""
        return self._every_pod and all(target in heard for target in self._targets)

    def next(self) -> Target | None:
        """Return the next target that was not tried yet; None: there is none.

        Raises:
            PollError: It cannot be found out which there are.
        """
        self._refresh()
        if not self._left:
            return None
        target = self._left.pop(0)
        self._tried.add(target)
        return target

    def confirm(self, target: Target) -> None:
        """Refuse to call a target that is not there any more.

        Raises:
            PollError: ``PodGone``, or it cannot be found out.
        """
        self._refresh()
        if target not in self._targets:
            raise PollError(
                Reason.POD_GONE,
                "it has ended, is not ready any more or has another address, so that no further "
                "request is sent to it. See its state and its log.",
            )

    def _refresh(self) -> None:
        if self._look is None or self._monotonic() - self._looked_at < self._seconds:
            return
        looked = self._look()
        if looked.failure is not None:
            failure = looked.failure
            raise PollError(failure.reason, failure.message, stalls=failure.needs_a_person)
        self._targets, self._credentials = looked.targets, looked.credentials
        self._issuers, self._every_pod = looked.issuers, looked.every_pod
        self._left = [target for target in looked.targets if target not in self._tried]
        self._looked_at = self._monotonic()
