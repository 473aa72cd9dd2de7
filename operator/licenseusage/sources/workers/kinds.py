"""The kinds of sources: the one place that knows which there are, and how each is polled."""

from collections.abc import Callable

from licenseusage.clock import Clock
from licenseusage.sources.lists.collect import Collection
from licenseusage.sources.lists.memory import ListMemory
from licenseusage.sources.logs.collect import LogCollection
from licenseusage.sources.poll import Looked, PollRequest, PollResult


def collect(
    request: PollRequest,
    clock: Clock,
    memory: ListMemory | None = None,
    *,
    alarm: bool = False,
    look: Callable[[], Looked] | None = None,
) -> PollResult:
    """Perform one poll in this process; see ``Collection`` and ``LogCollection``."""
    if request.source.reads_log:
        return LogCollection(request, clock, look).perform()
    return Collection(request, clock, memory, alarm=alarm, look=look).perform()
