"""Wrong passwords, and how long their sender must wait: pure, except for its memory.

A client may err three times; then each wrong password doubles its wait, up to five minutes. Many
clients together are slowed down as one, so that a guesser with many addresses gains little; who
gave the right password before is not held up by them.
"""

import ipaddress
from collections import OrderedDict
from dataclasses import dataclass

FREE = 3
FREE_TOGETHER = 100
LONGEST_WAIT_S = 300
LONGEST_WAIT_TOGETHER_S = 5
FORGOTTEN_AFTER_S = 3600
CLIENTS = 10_000


@dataclass(slots=True)
class _Count:
    wrong: int = 0
    last_s: int = 0


class Guesses:
    """Counts by client: an IPv4 address, or the /64 network of an IPv6 address."""

    def __init__(self) -> None:
        """Know nobody."""
        self._clients: OrderedDict[str, _Count] = OrderedDict()
        self._together = _Count()
        self._known: OrderedDict[str, None] = OrderedDict()

    def wait_s(self, client: str, now_s: int) -> int:
        """Return for how many seconds no password of a client is looked at; 0: now."""
        name = _network(client)
        own = _left(self._clients.get(name), now_s, free=FREE, longest_s=LONGEST_WAIT_S)
        if name in self._known:
            return own
        return max(
            own,
            _left(self._together, now_s, free=FREE_TOGETHER, longest_s=LONGEST_WAIT_TOGETHER_S),
        )

    def wrong(self, client: str, now_s: int) -> int:
        """Count a wrong password; return how many this client gave."""
        name = _network(client)
        own = self._clients.setdefault(name, _Count())
        self._clients.move_to_end(name)
        for count in (own, self._together):
            if not 0 <= now_s - count.last_s < FORGOTTEN_AFTER_S:
                count.wrong = 0
            count.wrong, count.last_s = count.wrong + 1, now_s
        if len(self._clients) > CLIENTS:
            self._clients.popitem(last=False)
        return own.wrong

    def right(self, client: str) -> None:
        """Forget the wrong ones of a client that gave the right password."""
        name = _network(client)
        self._clients.pop(name, None)
        self._known[name] = None
        if len(self._known) > CLIENTS:
            self._known.popitem(last=False)


def _left(count: _Count | None, now_s: int, *, free: int, longest_s: int) -> int:
    if count is None or count.wrong < free:
        return 0
    wait_s = min(2 ** min(count.wrong - free, 20), longest_s)
    since_s = now_s - count.last_s
    return max(0, wait_s - since_s) if since_s >= 0 else 0  # a clock that was put back locks nobody


def _network(client: str) -> str:
    try:
        address = ipaddress.ip_address(client)
    except ValueError:
        return client
    if address.version == 6:
        return str(ipaddress.ip_network((address, 64), strict=False))
    return client
