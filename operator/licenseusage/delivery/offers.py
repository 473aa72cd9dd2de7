"""Licences for the vendor's register: those that were put, as far as this process knows (§9).

A licence is the vendor's own document. Nothing is signed for it, so that no answer proves anything:
it is offered again whenever a receipt says that it is unknown. Forgetting all this costs a request.
"""

from collections.abc import Iterable

from licenseusage.delivery.outcome import Answer, NoAnswer
from licenseusage.reasons import Reason
from licenseusage.reports.licence import stored_license
from licenseusage.reports.names import digest
from licenseusage.reports.receipt import Receipt
from licenseusage.reports.tokens import decode

LICENSE_UNKNOWN = Reason.LICENSE_UNKNOWN
_TAKEN = (200, 201, 204)
_NO_REGISTER = (404, 405, 410)
_PAUSE_MS = 10_000
"""Shorter than the first pause after a report that failed, and longer than a chain's reports take
one after the other."""


class Offers:
    """By destination (endpoint and chain): licences that were put, and those that wait."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._known: dict[str, dict[str, str]] = {}
        self._waiting: dict[str, dict[str, str]] = {}
        self._tried_ms: dict[tuple[str, str], int] = {}

    def learn(self, place: str, tokens: Iterable[str]) -> None:
        """Take note of licences that reports of a chain are, or will be, made under."""
        known = self._known.setdefault(place, {})
        for token in tokens:
            if digest(token) not in known:
                known[digest(token)] = token
                self._waiting.setdefault(place, {})[digest(token)] = token

    def due(self, place: str, now_ms: int) -> tuple[str, ...]:
        """Return the licences to put before the next report, except those that just failed."""

        def just_tried(key: str) -> bool:
            tried_ms = self._tried_ms.get((place, key))
            return tried_ms is not None and 0 <= now_ms - tried_ms < _PAUSE_MS

        waiting = self._waiting.get(place, {})
        return tuple(token for key, token in waiting.items() if not just_tried(key))

    def answered(self, place: str, token: str, answer: Answer | NoAnswer, now_ms: int) -> None:
        """Record the result of an offer."""
        self._tried_ms[place, digest(token)] = now_ms
        if isinstance(answer, Answer) and _settled(answer):
            self._waiting.get(place, {}).pop(digest(token), None)

    def unknown(self, place: str, report: str, receipt: Receipt | None) -> bool:
        """Whether a receipt says that the licence of its report is unknown, and we have it.

        It waits again then.
        """
        if receipt is None or LICENSE_UNKNOWN not in receipt.findings:
            return False
        _, claims = decode(report)
        named = claims.get("licenseId")
        for key, token in self._known.get(place, {}).items():
            if stored_license(token).license_id == named:
                self._waiting.setdefault(place, {})[key] = token
                self._tried_ms.pop((place, key), None)
                return True
        return False


def _settled(answer: Answer) -> bool:
    if answer.status in _NO_REGISTER:
        return True
    # A page of a portal has a body and a type.
    return answer.status in _TAKEN and not answer.body and not answer.content_type
