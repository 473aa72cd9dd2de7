"""What the vendor holds of chains that were stopped: asked beside the reconciles, and remembered.

A reconcile says what it needs and goes on; the answer wakes the object. Losing an answer costs a
request.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

import structlog

from licenseusage.clock import Clock
from licenseusage.controller.effects.defects import problem_of
from licenseusage.controller.effects.metrics import Metrics
from licenseusage.controller.rules.key import Key
from licenseusage.delivery.history import History, read_history
from licenseusage.delivery.vendor import VendorClient
from licenseusage.errors import Failure, Retryable, UsageError
from licenseusage.ledger.documents.records import ReportChain
from licenseusage.reasons import Reason
from licenseusage.reports.bundle import Parties, make_bundle
from licenseusage.reports.keys import InstallationKeys, SigningKey, VendorKeys

AGAIN_SECONDS = 600.0
"""How long an answer is good for: while a chain is stopped, the vendor is asked this often."""
_OF_ANOTHER_KEY = frozenset({Reason.KEY_RETIRED, Reason.KEY_UNKNOWN})
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Question:
    """What the vendor is asked, and by whom.

    Attributes:
        key: The object that needs the answer.
        signer: The installation's newest key of the subscription, as far as is known here.
        others: Its other keys that are at hand: only the newest one may ask, and the vendor may
            have taken a succession whose receipt was lost, or none that was signed.
        keys: Ours, retired ones too.
    """

    key: Key
    endpoint: str
    chain: ReportChain
    parties: Parties
    signer: SigningKey
    others: tuple[SigningKey, ...]
    keys: InstallationKeys
    vendor_keys: VendorKeys


class VendorHistories:
    """Asks the vendor for chains; one request per chain at a time."""

    def __init__(
        self, client: VendorClient, clock: Clock, metrics: Metrics, nudge: Callable[[Key], None]
    ) -> None:
        """Ask through ``client``, and wake objects by ``nudge``."""
        self._client, self._clock, self._metrics, self._nudge = client, clock, metrics, nudge
        self._answers: dict[str, History | Failure] = {}
        self._asked_s: dict[str, float] = {}
        self._asking: dict[str, asyncio.Task[None]] = {}

    def answer(self, chain_id: str) -> History | Failure | None:
        """Return what the vendor answered last, or why it did not; None: it was not asked."""
        return self._answers.get(chain_id)

    def forget(self, chain_id: str) -> None:
        """Forget an answer: the chain goes on, and what the vendor holds of it grows."""
        self._answers.pop(chain_id, None)
        self._asked_s.pop(chain_id, None)

    def ask(self, question: Question, loop_s: float, *, again: bool) -> bool:
        """Ask, unless that was done lately; return whether an answer is still to come.

        Args:
            question: What is asked.
            loop_s: Monotonic seconds.
            again: Whatever was answered lately: an administrator wants to know.
        """
        chain_id = question.chain.id
        before = self._asked_s.get(chain_id)
        lately = before is not None and loop_s - before < AGAIN_SECONDS
        if chain_id in self._asking or (lately and not again):
            return chain_id in self._asking
        self._asked_s[chain_id] = loop_s
        task = asyncio.create_task(self._ask(question))
        self._asking[chain_id] = task
        return True

    async def _ask(self, question: Question) -> None:
        chain = question.chain
        try:
            self._answers[chain.id] = await self._answer(question)
        except UsageError as error:
            self._answers[chain.id] = Failure.of(error)
            _log.warning(
                "no history from the vendor",
                object=str(question.key),
                chain=chain.id,
                reason=error.reason,
                error=error.message,
            )
        except Exception as error:
            doing = "it asked the vendor for its history"
            failure = problem_of(error, self._metrics, question.key, doing)
            self._answers[chain.id] = failure
        finally:
            del self._asking[chain.id]  # before the object is woken: it looks for an answer
        self._nudge(question.key)

    async def _answer(self, question: Question) -> History:
        """Ask as one key after the other, until one of them is the newest that the vendor knows.

        Raises:
            UsageError: There is no history in the answer to the last one.
        """
        *others, last = (question.signer, *question.others)
        for signer in others:
            try:
                return await self._answer_to(question, signer)
            except Retryable as error:
                if error.reason not in _OF_ANOTHER_KEY:
                    raise
        return await self._answer_to(question, last)

    async def _answer_to(self, question: Question, signer: SigningKey) -> History:
        now_s = self._clock.now_ms() // 1000
        (request,) = make_bundle(question.parties, signer, now_s=now_s)
        return read_history(
            await self._client.ask_history(question.endpoint, request, question.chain.id),
            chain_id=question.chain.id,
            key_chain_id=question.chain.key_chain_id,
            keys=question.keys,
            vendor_keys=question.vendor_keys,
            host=urlsplit(question.endpoint).hostname or question.endpoint,
        )
