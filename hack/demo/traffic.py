"""People who sign in while the demo runs, over HTTP at any of the product's pods.

One thing that a month's end holds is left out on purpose. In the first minute of the new cycle only
people sign in who were counted in the old one. Of anybody else nobody could tell whether she had
been there seconds before the end, too, since the product keeps the last stamp only: the number
would be "at least N, at most N + 1" (MEASUREMENT §3), and the demo is about the plain case.
"""

import random
import threading
from collections.abc import Callable, Sequence
from datetime import datetime

import httpx

from examples.product.generate import Truth
from hack.demo.plan import Plan

_PAUSE_SECONDS = 0.25
_QUIET_SECONDS = 60


class Traffic:
    """A thread that signs people in, four a second, and notes the product's answers in ``truth``.

    Attributes:
        failure: Why it ended by itself, if it did.
        sign_ins: How many there were.
    """

    def __init__(
        self,
        truth: Truth,
        people: Sequence[str],
        urls: Sequence[str],
        plan: Plan,
        now: Callable[[], float],
    ) -> None:
        """Prepare; see `start`.

        Args:
            truth: Told every activity, as recorded by the product.
            people: Ids of everybody who may sign in.
            urls: Base addresses of the pods.
            plan: When the cycle ends.
            now: The simulated time, seconds since the epoch.
        """
        self.failure: str | None = None
        self.sign_ins = 0
        self._truth, self._people, self._urls, self._plan = truth, people, urls, plan
        self._now = now
        self._known = sorted(truth.active)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="traffic", daemon=True)

    def start(self) -> None:
        """Begin to sign people in."""
        self._thread.start()

    def stop(self) -> None:
        """End it, and wait until the sign-in under way is done."""
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        rng = random.Random(2)  # noqa: S311 - reproducible people, not secrets
        newcomers = [user for user in self._people if user not in self._truth.active]
        rng.shuffle(newcomers)
        try:
            with httpx.Client(timeout=10, trust_env=False) as client:
                while not self._over.wait(_PAUSE_SECONDS):
                    quiet = 0 <= self._now() + 1 - self._plan.end < _QUIET_SECONDS
                    # New and known people in turn; the new ones are new to the whole cycle.
                    new = self.sign_ins % 2 == 0 and not quiet
                    self._sign_in(client, newcomers.pop() if new else rng.choice(self._known))
        except (httpx.HTTPError, ValueError, KeyError) as error:
            self.failure = f"signing in failed: {error!r}"

    def _sign_in(self, client: httpx.Client, user: str) -> None:
        """Sign ``user`` in and note the second that the product recorded."""
        url = self._urls[self.sign_ins % len(self._urls)]
        self.sign_ins += 1
        answer = client.post(f"{url}/login", json={"user": user})
        if answer.status_code == 403:  # her account is deactivated
            return
        stamp = answer.raise_for_status().json()["lastActive"]
        self._truth.note(user, int(datetime.fromisoformat(stamp).timestamp()))
