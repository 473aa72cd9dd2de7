"""Worker processes: every poll runs in one, bounded in time and memory.

``Workers`` is the operator's end, ``python -m licenseusage.sources.worker`` the other.
"""

from types import TracebackType
from typing import Self

from licenseusage.sources.poll import PollRequest, PollResult


class Workers:
    """A pool of worker processes; an async context manager.

    Polls beyond ``size`` wait for a free worker. A worker that exceeds its time or memory is killed
    and replaced, and its poll ends with a ``Failure``.
    """

    def __init__(self, size: int = 4) -> None:
        """Prepare a pool of at most ``size`` processes; they start when first needed."""
        self._size = size

    async def __aenter__(self) -> Self:
        """Return the pool."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End all workers."""

    async def poll(self, request: PollRequest) -> PollResult:
        """Perform one poll; never raises for what the product or a worker does."""
        raise NotImplementedError
