"""Who may see the pages: they show every customer's numbers, the protocol shows nobody's.

The pages ask for a password, wherever the receiver listens; without one set they are closed. Only a
receiver that was started with ``--open-pages`` on a loopback address shows them to whoever sits at
the machine. A request for another host than this receiver's is refused: a page elsewhere that has
its name point here would otherwise read them through a visitor's browser (DNS rebinding).
"""

import hmac
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass, field

import structlog
from fastapi import Request

from licenseusage.clock import Clock
from licenseusage.receiver.guesses import Guesses
from licenseusage.receiver.hosts import is_ours

log = structlog.get_logger("licenseusage.receiver")

_FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")
_CHALLENGE = {"WWW-Authenticate": 'Basic realm="receiver", charset="UTF-8"'}


@dataclass(frozen=True, slots=True)
class Refusal:
    """The answer to a visitor who may not see a page: an HTTP status and a page with a message."""

    status: int
    title: str
    text: str
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PagesAccess:
    """The rule.

    Attributes:
        password: Asked for by HTTP Basic, any user name; None: none set.
        open_pages: Without a password, whoever reaches the loopback address sees them.
        hosts: Names and addresses that this receiver is reached by, besides those of loopback.
    """

    password: str | None = field(default=None, repr=False)
    open_pages: bool = False
    hosts: frozenset[str] = frozenset()


class Doorkeeper:
    """Applies the rule, and remembers wrong passwords."""

    def __init__(self, access: PagesAccess, clock: Clock) -> None:
        """Start with nobody known; ``clock`` times how long who guessed has to wait."""
        self._access = access
        self._clock = clock
        self._guesses = Guesses()

    def refusal(self, request: Request) -> Refusal | None:
        """Return why a visitor may not see a page; None: they may."""
        host = request.headers.get("host", "")
        if not is_ours(host, self._access.hosts):
            return Refusal(
                421,
                "Another host",
                "This receiver is not known by the host that was asked for. If it is reached by "
                "that name, give it to the receiver: --host NAME, or LICENSEUSAGE_RECEIVER_HOSTS.",
            )
        if self._access.password is not None:
            return self._asked(request, self._access.password)
        # A proxy on this machine also comes from loopback, and speaks for anybody.
        forwarded = any(name in request.headers for name in _FORWARDED)
        return None if self._access.open_pages and not forwarded else _CLOSED

    def _asked(self, request: Request, password: str) -> Refusal | None:
        given = _password_in(request.headers.get("authorization"))
        if given is None:
            return _asking("These pages ask for a password.")
        client = request.client.host if request.client else ""
        now_s = self._clock.now_ms() // 1000
        wait_s = self._guesses.wait_s(client, now_s)
        if wait_s:
            return Refusal(
                429,
                "Too many wrong passwords",
                f"Wait {wait_s} s and try again: no password is looked at before.",
                {"Retry-After": str(wait_s)},
            )
        if hmac.compare_digest(given, password.encode()):
            self._guesses.right(client)
            return None
        wrong = self._guesses.wrong(client, now_s)
        log.warning("wrong password", client=client, wrong=wrong)
        return _asking("That password is wrong.")


def cross_site(request: Request) -> Refusal | None:
    """Return why a form may not be sent; None: it comes from our own page, or from no browser.

    A browser adds the password to whatever is sent to this receiver, also by a page of another site
    (cross-site request forgery). But it says where a form comes from: ``Sec-Fetch-Site``, and
    ``Origin`` where that is missing, over plain HTTP.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return None if site in ("same-origin", "none") else _FROM_ELSEWHERE
    origin = request.headers.get("origin")
    if origin is None:
        return None
    own = request.headers.get("host", "").lower()
    _, _, host = origin.lower().partition("://")
    return None if host and host == own else _FROM_ELSEWHERE


_FROM_ELSEWHERE = Refusal(
    403,
    "Sent from another site",
    "A file is taken from this receiver's own page only. Open that page and choose the file there.",
)


_CLOSED = Refusal(
    403,
    "The pages are closed",
    "They show every customer's numbers, and open with a password only: set "
    "LICENSEUSAGE_RECEIVER_PAGES_PASSWORD_FILE and restart the receiver. On a machine of your own, "
    "--open-pages shows them without one to whoever asks on a loopback address. Reports are taken "
    "either way.",
)


def _asking(text: str) -> Refusal:
    return Refusal(401, "Password needed", text, _CHALLENGE)


def _password_in(header: str | None) -> bytes | None:
    """Return the password of an ``Authorization`` header; None: it holds none."""
    scheme, _, encoded = (header or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        _, colon, given = b64decode(encoded, validate=True).partition(b":")
    except ValueError:  # no base64, or not even ASCII
        return None
    return given if colon else None
