"""Access tokens by client credentials (RFC 6749 §4.4): the request, and what its answer means.

Pure. A library (authlib) would bring its own HTTP client into each worker; there is no cryptography
in this, only a form and a JSON object.
"""

import base64
import math
import re
from dataclasses import dataclass, field
from urllib.parse import quote, quote_plus, urlencode

from licenseusage.reasons import Reason
from licenseusage.sources.definition.auth import OAuth2
from licenseusage.sources.failures import PollError
from licenseusage.sources.http.signin.exchange import Answered, Posted, members, unanswered
from licenseusage.sources.poll import Credentials

LONGEST_SECONDS = 3600.0
"""A token is kept no longer, whatever its issuer says."""
SHORTEST_SECONDS = 30.0
"""Within one poll a token is not renewed sooner, unless it is refused."""
_MARGIN_SECONDS = 30.0
_KEPT_IN_PATHS = "/%:@!$&'()*+,=-._~"
_TOKEN = re.compile(r"[\x21-\x7e]{1,16384}")
_FIXES = {
    "invalid_client": "Check client_id and client_secret in Secret {secret}, and whether the "
    "client may authenticate this way (auth.oauth2.clientAuthentication).",
    "unauthorized_client": "Check client_secret in Secret {secret} (Keycloak answers so to a wrong "
    "one), and permit this client the grant client_credentials (in Keycloak: service accounts).",
    "unsupported_grant_type": "The server does not know the grant client_credentials. Check "
    "auth.oauth2.tokenPath.",
    "invalid_scope": "Correct auth.oauth2.scopes, or permit them to this client.",
    "invalid_target": "Correct auth.oauth2.audience.",
    "invalid_grant": "Check client_id and client_secret in Secret {secret}.",
    "invalid_request": "Check auth.oauth2.clientAuthentication, scopes and audience.",
    "access_denied": "Permit this client the scopes and the audience that it asks for.",
}
"""Error codes of RFC 6749 §5.2 and RFC 8707 §2; no other text of an answer is ever shown."""


@dataclass(frozen=True, slots=True)
class Token:
    """An access token.

    Attributes:
        value: What is sent.
        kept_seconds: How long after the request it may be used by later polls; 0: by none.
        used_seconds: How long after the request this poll uses it.
    """

    value: str = field(repr=False)
    kept_seconds: float
    used_seconds: float


def token_request(auth: OAuth2, credentials: Credentials) -> Posted:
    """Return the request for a token."""
    form = {"grant_type": "client_credentials"}
    if auth.scopes:
        form["scope"] = " ".join(auth.scopes)
    if auth.audience is not None:
        form["audience"] = auth.audience
    headers = [("content-type", "application/x-www-form-urlencoded")]
    names = ("client_id", "client_secret")
    if auth.in_body:
        form |= {name: credentials.values[name] for name in names}
    else:
        # Encoded as in a form, whatever they hold (RFC 6749 §2.3.1).
        pair = ":".join(quote_plus(credentials.values[name]) for name in names)
        headers.append(("authorization", "Basic " + base64.b64encode(pair.encode()).decode()))
    path = quote(auth.token_path, safe=_KEPT_IN_PATHS)
    return Posted(_what(auth), path, tuple(headers), urlencode(form).encode())


def token_of(auth: OAuth2, answered: Answered) -> Token:
    """Return the token in an answer.

    Raises:
        PollError: ``SignInRefused``, ``SignInUnusable``, ``SignInUnavailable``, or another reason
            that is named by the status.
    """
    what, status = _what(auth), answered.status
    if status != 200:
        raise _refusal(auth, answered)
    shown = members(answered)
    if shown is None:
        raise PollError(
            Reason.SIGN_IN_UNUSABLE,
            f"{what} did not answer with a JSON object, but perhaps with a page for people. Check "
            "auth.oauth2.tokenPath.",
            stalls=True,
        )
    kind = shown.get("token_type", "Bearer")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise PollError(
            Reason.SIGN_IN_UNUSABLE,
            f"{what} issues tokens of another type than Bearer, which cannot be sent. Configure "
            "the client for bearer tokens (without DPoP).",
            stalls=True,
        )
    value = shown.get("access_token")
    if not isinstance(value, str) or not _TOKEN.fullmatch(value):
        raise PollError(
            Reason.SIGN_IN_UNUSABLE,
            f"{what} answered without an access_token that can be sent. Check "
            "auth.oauth2.tokenPath.",
            stalls=True,
        )
    lifetime = lifetime_seconds(shown.get("expires_in"))
    if lifetime is None:
        return Token(value, 0, math.inf)
    until = lifetime - min(_MARGIN_SECONDS, lifetime / 4)
    return Token(value, until, max(until, SHORTEST_SECONDS))


def lifetime_seconds(expires_in: object) -> float | None:
    """Return the lifetime that an issuer states, bounded; None: it states none that can be true."""
    if isinstance(expires_in, str) and re.fullmatch(r"[0-9]{1,18}", expires_in):
        expires_in = int(expires_in)
    if isinstance(expires_in, bool) or not isinstance(expires_in, int | float):
        return None
    # nan is not greater than anything
    return float(min(expires_in, LONGEST_SECONDS)) if expires_in > 0 else None


def _refusal(auth: OAuth2, answered: Answered) -> PollError:
    what, status = _what(auth), answered.status
    seen = f"{what} answered with HTTP {status}"
    if status in (400, 401, 403):
        code = (members(answered) or {}).get("error")
        known = code if isinstance(code, str) and code in _FIXES else None
        fix = _FIXES[known or "invalid_client"].format(secret=auth.secret_name)
        seen += f" ({known})" if known else ""
        return PollError(Reason.SIGN_IN_REFUSED, f"{seen}. {fix}", stalls=True)
    if failure := unanswered(status, seen, elsewhere=auth.elsewhere):
        return failure
    also = " Redirects are not followed." if 300 <= status < 400 else ""
    fix = f"Check auth.oauth2.tokenPath and the server's version.{also}"
    return PollError(Reason.SIGN_IN_UNUSABLE, f"{seen}. {fix}", stalls=True)


def _what(auth: OAuth2) -> str:
    if auth.endpoint is not None:
        return f"the token endpoint {auth.token_path} of endpoint {auth.endpoint}"
    if auth.service is not None:
        return f"the token endpoint {auth.token_path} of Service {auth.service.service}"
    return f"the token endpoint {auth.token_path}"
