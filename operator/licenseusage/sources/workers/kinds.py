"""The kinds of sources: the one place that knows which there are, and how each is polled."""

from collections.abc import Callable

from licenseusage.clock import Clock
from licenseusage.sources.http.signin.memory import TokenMemory
from licenseusage.sources.lists.collect import Collection
from licenseusage.sources.lists.memory import ListMemory
from licenseusage.sources.logs.ranged.collect import RangedCollection
from licenseusage.sources.poll import Looked, PollRequest, PollResult


def collect(
    request: PollRequest,
    clock: Clock,
    memory: ListMemory | None = None,
    *,
    tokens: TokenMemory | None = None,
    alarm: bool = False,
    look: Callable[[], Looked] | None = None,
) -> PollResult:
    """Perform one poll in this process; see ``Collection`` and its siblings.

    A worker that reads lists only never imports the clients of logs, nor the parsers of metrics:
    half of its start and memory.
    """
    if request.source.states_number:
        from licenseusage.sources.counts.collect import CountCollection

        return CountCollection(request, clock, tokens=tokens, alarm=alarm, look=look).perform()
    if (http_log := request.source.http_log) is not None:
        return RangedCollection(
            request, http_log, clock, tokens=tokens, alarm=alarm, look=look
        ).perform()
    if request.source.reads_log:
        from licenseusage.sources.logs.collect import LogCollection

        return LogCollection(request, clock, look).perform()
    return Collection(request, clock, memory, tokens=tokens, alarm=alarm, look=look).perform()
