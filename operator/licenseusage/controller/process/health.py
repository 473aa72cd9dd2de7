"""``/healthz``, ``/readyz`` and ``/metrics`` on aiohttp, which kopf brings.

kopf's own liveness answers 200 while its streams may be dead. This one asks what matters: does the
event loop turn, does the queue move, did our own LIST succeed lately.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

from licenseusage.controller.effects.metrics import Snapshot
from licenseusage.controller.effects.watched import DEAF_SECONDS

LOOP_LAG_SECONDS = 10.0
QUEUE_OVERDUE_SECONDS = 600.0
LIST_AGE_SECONDS = 1800.0
_BEAT_SECONDS = 1.0


@dataclass(slots=True)
class Health:
    """What liveness and readiness are judged by.

    Attributes:
        queue_overdue: How long the longest-waiting due key has waited, in seconds.
        ready: The first LIST succeeded and the workers run.
        listed_at: The loop's time of the last successful LIST.
        deaf: For how long the watch has not told of a change, in seconds.
    """

    queue_overdue: Callable[[], float]
    ready: bool = False
    listed_at: float | None = None
    lag: float = 0.0
    deaf: Callable[[], float] = lambda: 0.0

    def unready(self) -> str | None:
        """Say why what is asked of this process may take long, or None."""
        if not self.ready:
            return "waiting for the first LIST"
        if self.deaf() > DEAF_SECONDS:
            return (
                f"the watch of LicenseUsages or UsageReceipts has not told of a change for "
                f"{self.deaf():.0f} s: see the log, and the right to watch them (manifests/base); "
                "changes are noticed once a minute only"
            )
        return None

    def problem(self, now: float) -> str | None:
        """Say why the process should be restarted, or None; ``now`` is the loop's time."""
        if self.lag > LOOP_LAG_SECONDS:
            return f"the event loop was blocked for {self.lag:.0f} s"
        if self.queue_overdue() > QUEUE_OVERDUE_SECONDS:
            return f"work is due since {self.queue_overdue():.0f} s and nobody takes it"
        if self.listed_at is not None and now - self.listed_at > LIST_AGE_SECONDS:
            return f"the last LIST of LicenseUsages succeeded {now - self.listed_at:.0f} s ago"
        return None

    async def beat(self) -> None:
        """Measure for ever how late the loop wakes us."""
        loop = asyncio.get_running_loop()
        while True:
            before = loop.time()
            await asyncio.sleep(_BEAT_SECONDS)
            self.lag = loop.time() - before - _BEAT_SECONDS


async def serve(
    health: Health, metrics_now: Callable[[], Snapshot], host: str | None, port: int
) -> tuple[web.AppRunner, int]:
    """Start the server; return what to clean up and the port it listens on (for port 0).

    Raises:
        OSError: The address is taken or not ours.
    """

    async def healthz(_: web.Request) -> web.Response:
        problem = health.problem(asyncio.get_running_loop().time())
        return web.Response(text=f"{problem or 'ok'}\n", status=503 if problem else 200)

    async def readyz(_: web.Request) -> web.Response:
        problem = health.unready()
        return web.Response(text=f"{problem or 'ok'}\n", status=503 if problem else 200)

    async def metrics(_: web.Request) -> web.Response:
        headers = {"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
        text = await asyncio.to_thread(
            metrics_now().text
        )  # a quarter of a second for 1,000 objects
        return web.Response(body=text, headers=headers)

    app = web.Application()
    app.add_routes(
        [web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", metrics)]
    )
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    bound: int = runner.addresses[0][1]
    return runner, bound
