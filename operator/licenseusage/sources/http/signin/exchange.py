"""One small request for the right to read, and its answer.

Redirects are never followed: a Secret goes to the path that is declared, and nowhere else. Nothing
of the answer is quoted.
"""

import json
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPMessage

from licenseusage import __version__
from licenseusage.reasons import Reason
from licenseusage.sources.deadline import Deadline
from licenseusage.sources.definition.paging import Pair
from licenseusage.sources.failures import PollError
from licenseusage.sources.http.body import decoded
from licenseusage.sources.http.trouble import cannot_connect
from licenseusage.sources.http.wire import Wire, content
from licenseusage.sources.poll import Credentials, Target
from licenseusage.sources.reach import CONNECT_SECONDS, certificate_refused, trust

MOST_BYTES = 64 * 1024
"""Of an answer; a token has a few kilobytes."""


_OF_ONE_REPLICA = (502, 503, 504)
"""Another replica of the product may answer all the same."""


@dataclass(frozen=True, slots=True)
class Posted:
    """A request with a Secret.

    Attributes:
        what: What messages call it, such as ``the token endpoint /token``.
        path: Without a query.
        headers: Beside those that every request has.
        body: Of the declared type.
    """

    what: str
    path: str
    headers: tuple[Pair, ...] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer.

    Attributes:
        content: At most `MOST_BYTES`; None: there was more.
    """

    status: int
    headers: HTTPMessage = field(repr=False)
    content: bytes | None = field(repr=False)


def exchanged(
    target: Target,
    posted: Posted,
    deadline: Deadline,
    seconds: float,
    confirm: Callable[[], None],
    credentials: Credentials | None = None,
) -> Answered:
    """Send a request over a connection of its own.

    Args:
        target: Whom to ask.
        posted: What to ask.
        deadline: The poll's.
        seconds: How long the other side may send nothing.
        confirm: Refuses a target that is not there any more.
        credentials: With a certificate that is presented; None: none is.

    Raises:
        PollError: ``SignInUnavailable``: it was sent, and there is no whole answer. Other reasons:
            it was not sent.
    """
    presented = credentials is not None and credentials.certificate is not None
    wire = Wire(target, trust(target, credentials))
    confirm()
    try:
        wire.open(min(seconds, CONNECT_SECONDS))
    except (OSError, ValueError) as error:  # a ValueError is about a name
        raise cannot_connect(target, error, presented=presented) from None
    try:
        return _answered(wire, target, posted, deadline, seconds)
    except TimeoutError:
        deadline.check()
        raise _unavailable(posted, f"sent nothing for {seconds:g} s") from None
    except ssl.SSLError as error:
        address = f"{target.host}:{target.port}"
        refused = certificate_refused(error, address, presented=presented)
        raise refused or _unavailable(posted, "closed the connection (TLS)") from None
    except ValueError:
        raise PollError(
            Reason.CREDENTIALS_INVALID,
            "the request cannot be sent: a header holds characters that HTTP does not allow. "
            "Check the Secret's values.",
            stalls=True,
        ) from None
    except (OSError, HTTPException):
        raise _unavailable(posted, "closed the connection without a whole answer") from None
    finally:
        wire.close()


def _answered(
    wire: Wire, target: Target, posted: Posted, deadline: Deadline, seconds: float
) -> Answered:
    usual = (
        ("host", target.host_sent),
        ("accept", "application/json"),
        ("accept-encoding", "identity"),
        ("user-agent", f"licenseusage/{__version__}"),
    )
    headers = [(name, value.encode()) for name, value in (*usual, *posted.headers)]
    response = wire.send("POST", posted.path, headers, posted.body, seconds)
    received = bytearray()
    try:
        for data in decoded(content(response), response.getheader("content-encoding")):
            deadline.check()
            received += data
            if len(received) > MOST_BYTES:
                return Answered(response.status, response.headers, None)
    except PollError as error:
        if error.reason == Reason.POLL_TIMEOUT:
            raise
        return Answered(response.status, response.headers, None)  # compressed, and not readable
    return Answered(response.status, response.headers, bytes(received))


def _unavailable(posted: Posted, seen: str) -> PollError:
    return PollError(
        Reason.SIGN_IN_UNAVAILABLE, f"{posted.what} {seen}. See its log; it is asked again later."
    )


def members(answered: Answered) -> dict[str, object] | None:
    """Return the JSON object in an answer; None: it is something else."""
    try:
        made = json.loads(answered.content or b"")
    except (ValueError, RecursionError):
        return None
    return made if isinstance(made, dict) else None


def unanswered(status: int, seen: str, *, elsewhere: bool) -> PollError | None:
    """Return the failure for a status that decides nothing about the credentials; None: it does.

    Args:
        status: Of the answer.
        seen: What was seen, without a full stop.
        elsewhere: Another server than the product has answered.
    """
    if status == 407:
        return proxy_refused(seen)
    if status == 429:
        fix = "Raise the server's limit of requests, or intervalMinutes."
        return PollError(Reason.TOO_MANY_REQUESTS, f"{seen}. {fix}")
    if status >= 500:
        replica = status in _OF_ONE_REPLICA and not elsewhere
        reason = Reason.SERVER_ERROR if replica else Reason.SIGN_IN_UNAVAILABLE
        return PollError(reason, f"{seen}. See its log; it is asked again later.")
    return None


def proxy_refused(seen: str) -> PollError:
    """Return the failure for a proxy in between that wants credentials of its own (407)."""
    return PollError(
        Reason.PROXY_AUTHENTICATION_REQUIRED,
        f"{seen}: a proxy in between wants credentials of its own. Let the operator reach the "
        "product without that proxy.",
        stalls=True,
    )
