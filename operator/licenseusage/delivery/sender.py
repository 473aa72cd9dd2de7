"""One step of delivery: claim a document, put it, verify the receipt, write the result.

Commit before send, verify before believe: whatever happens between two lines of this file, the
document is still in the outbox, and sending it twice is harmless (REPORT_FORMAT §10).
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar
from urllib.parse import urlsplit

from licenseusage.clock import Clock
from licenseusage.delivery.offers import Offers
from licenseusage.delivery.outbox import Attempt, DeliveryState, Outbox, Queued, Settlement
from licenseusage.delivery.outcome import Answer, NoAnswer, Outcome, classify, explain
from licenseusage.delivery.settle import settle
from licenseusage.reasons import Reason
from licenseusage.reports.keys import VendorKey
from licenseusage.reports.licence import stored_license
from licenseusage.reports.receipt import Sent
from licenseusage.reports.typs import LICENSE
from licenseusage.retryafter import retry_after_seconds

T = TypeVar("T")
_KEY_UNKNOWN = Reason.KEY_UNKNOWN


class Puts(Protocol):
    """The part of a ``VendorClient`` that the sender needs."""

    async def put(self, endpoint: str, typ: str, jti: str, token: str) -> Answer | NoAnswer:
        """Put one document and read the answer."""
        ...


class RunsInThread(Protocol):
    """Runs a function on the ledger's thread, such as ``loop.run_in_executor`` wrapped."""

    def __call__(self, work: Callable[[], T], /) -> Awaitable[T]:
        """Run ``work`` and return its result."""
        ...


@dataclass(frozen=True, slots=True)
class Route:
    """Where a chain's documents go, and who may sign their receipts.

    Attributes:
        endpoint: https URL, from the verified licence or the operator's own settings.
        vendor_keys: The pinned keys.
        chain_id: The chain of reports.
        key_chain_id: The chain of key statements, which go first.
        licenses: Licences that its reports are, or will be, made under; exactly as signed.
    """

    endpoint: str
    vendor_keys: Mapping[str, VendorKey]
    chain_id: str
    key_chain_id: str
    licenses: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        """The endpoint and the chain: licences that were put there are known there."""
        return f"{self.endpoint} {self.chain_id}"

    @property
    def host(self) -> str:
        """The endpoint's host, for messages."""
        return urlsplit(self.endpoint).hostname or self.endpoint


class Sender:
    """Sends due documents, one at a time per chain."""

    def __init__(
        self,
        client: Puts,
        outbox: Outbox,
        *,
        clock: Clock,
        permille: Callable[[], int],
        in_thread: RunsInThread,
    ) -> None:
        """Keep the collaborators.

        Args:
            client: Speaks HTTPS.
            outbox: The durable queue.
            clock: Read once before and once after each answer.
            permille: A uniform draw from 0 to 999, new at each call.
            in_thread: Runs the outbox's methods.
        """
        self._client = client
        self._outbox = outbox
        self._clock = clock
        self._permille = permille
        self._in_thread = in_thread
        self._offers = Offers()

    async def step(self, route: Route) -> tuple[Attempt, ...]:
        """Send the key statements that are due, licences that are new, then at most one report.

        Call it again while it returns something: then more may be due.

        Returns:
            What was sent; empty if nothing was due.

        Raises:
            UsageError: the outbox cannot be read or written.
        """
        attempts = await self._send_key_statements(route)
        self._offers.learn(route.place, route.licenses)
        # Before the claim, whose lease is for the report alone.
        await self._offer_licenses(route)
        queued = await self._claim(route.chain_id)
        if queued is None:
            return tuple(attempts)
        outcome, answer = await self._put(route, queued)
        if outcome.reason == _KEY_UNKNOWN:
            # The vendor does not know us (any more). Once per attempt, or the two of us would go on
            # like this without a pause. The report stays claimed meanwhile.
            await self._in_thread(
                lambda: self._outbox.put_again(route.key_chain_id, self._clock.now_ms())
            )
            again = await self._send_key_statements(route)
            attempts += again
            if again and all(
                attempt.settlement.state is DeliveryState.ACCEPTED for attempt in again
            ):
                outcome, answer = await self._put(route, queued)
        attempts.append(await self._settle(route, queued, outcome, answer))
        if self._offers.unknown(route.place, queued.token, outcome.receipt):
            await self._offer_licenses(route)
        return tuple(attempts)

    async def _offer_licenses(self, route: Route) -> None:
        """Put licences into the vendor's register; reports are sent whatever the result is."""
        for token in self._offers.due(route.place, self._clock.now_ms()):
            license_id = stored_license(token).license_id
            answer = await self._client.put(route.endpoint, LICENSE, license_id, token)
            self._offers.answered(route.place, token, answer, self._clock.now_ms())
            if isinstance(answer, NoAnswer):
                break

    async def _send_key_statements(self, route: Route) -> list[Attempt]:
        """Send due documents in order, up to the first that is not accepted."""
        attempts: list[Attempt] = []
        while queued := await self._claim(route.key_chain_id):
            outcome, answer = await self._put(route, queued)
            attempts.append(await self._settle(route, queued, outcome, answer))
            if outcome.state is not DeliveryState.ACCEPTED:
                break
        return attempts

    async def _claim(self, chain_id: str) -> Queued | None:
        return await self._in_thread(lambda: self._outbox.claim(chain_id, self._clock.now_ms()))

    async def _put(self, route: Route, queued: Queued) -> tuple[Outcome, Answer | NoAnswer]:
        sent = Sent.from_token(queued.token)
        answer = await self._client.put(route.endpoint, sent.subject.typ, queued.jti, queued.token)
        return classify(answer, route.vendor_keys, sent), answer

    async def _settle(
        self, route: Route, queued: Queued, outcome: Outcome, answer: Answer | NoAnswer
    ) -> Attempt:
        now_ms, permille = self._clock.now_ms(), self._permille()
        header = answer.retry_after if isinstance(answer, Answer) else None
        retry_after = retry_after_seconds(header, now_ms // 1000)
        message = explain(outcome, answer, route.host)

        def write() -> Settlement:
            head = outcome.receipt.head if outcome.receipt else None
            settlement = settle(
                queued,
                outcome,
                message,
                chain=self._outbox.chain(queued.chain_id),
                own_digest=self._outbox.held_digest(queued.chain_id, head.sequence)
                if head
                else None,
                now_ms=now_ms,
                permille=permille,
                retry_after=retry_after,
            )
            self._outbox.settle(queued, settlement, now_ms)
            return settlement

        return Attempt(queued, await self._in_thread(write), route.host)
