"""What every kind of event log gives to its reader: its state, and its messages in order."""

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from licenseusage.clock import Clock
from licenseusage.sources.logs.messages import Batch
from licenseusage.sources.logs.trail import Trail
from licenseusage.sources.poll import CycleRequest, PollRequest, Target
from licenseusage.sources.whereabouts import Whereabouts

State = TypeVar("State")


@dataclass(frozen=True, slots=True)
class Asked(Generic[State]):
    """A log as its server described it, and when it was asked for that.

    Attributes:
        name: What the log is called.
        state: The log.
        at_ms: Just before the question, our clock.
        skew_ms: k: how far the server's clock may be from ours.
        limits: In words, what makes the log forget, such as ``max_age 24 h``; empty: nothing known.
        word: What messages are named by, such as ``sequence``.
        identity: Another one at another pod means another log of the same name.
    """

    name: str
    state: State
    at_ms: int
    skew_ms: int
    limits: tuple[str, ...] = field(default=())
    word: str = "sequence"
    identity: str = ""


class Session(Protocol):
    """Reads one log over one connection.

    Attributes:
        bytes: Content received.
        batches: Batches of messages received.
        ended: The server has sent all it had, at the last reading.
    """

    @property
    def bytes(self) -> int:
        """As above."""

    @property
    def batches(self) -> int:
        """As above."""

    @property
    def ended(self) -> bool:
        """As above."""

    async def state(self) -> Asked[Any]:
        """Ask for the state of the log; raises ``PollError``."""
        ...

    def trail(self, asked: Asked[Any], request: CycleRequest, *, replaced: bool = False) -> Trail:
        """Return the rules by which this log is read on for a cycle.

        Args:
            asked: What ``state`` returned.
            request: The cycle, and where its last reading stopped.
            replaced: Set after a ``RestartError``.
        """
        ...

    def read(self, trail: Any) -> AsyncGenerator[Batch, None]:  # noqa: ANN401 - its own kind
        """Yield the messages from the start that a trail has chosen, in order, batch by batch.

        Ends when the server has no more: ``ended`` is set then. Leaves nothing at the server.

        Raises:
            PollError: The connection broke, or a request was not answered in time.
        """
        ...


class Opening(Protocol):
    """Connects to a log's server, for the length of a poll: ``kinds.opened``."""

    def __call__(
        self, request: PollRequest, target: Target, whereabouts: Whereabouts, clock: Clock, /
    ) -> AbstractAsyncContextManager[Session]:
        """Return the connection; entering it raises ``PollError``."""
