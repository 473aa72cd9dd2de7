"""What an answer's status says, before any of its content is read."""

from http.client import HTTPResponse
from urllib.parse import urlsplit

from licenseusage.sources.definition import BasicAuth, EffectiveSource
from licenseusage.sources.failures import PollError, Reason

_OK = 200


def refuse_status(response: HTTPResponse, source: EffectiveSource) -> None:
    """Refuse everything but a 200 that may hold JSON.

    Raises:
        PollError: With the status and the fix; never with anything of the content.
    """
    status = response.status
    path = source.http.path
    if status == _OK:
        if (
            response.headers.get("content-type", "").partition(";")[0].strip().lower()
            == "text/html"
        ):
            raise PollError(
                Reason.ANSWER_NOT_JSON,
                f"GET {path} answered with an HTML page instead of JSON, often a sign-in page. "
                "Check http.path and the credentials.".replace("GET", source.http.method),
                stalls=True,
            )
        return
    seen = f"{source.http.method} {path} answered with HTTP {status}"
    reason, fix, stalls = _meaning(status, source)
    if reason is Reason.REDIRECTED:
        place = urlsplit(response.headers.get("location", "")).hostname
        seen += f" (to {place})" if place else ""
    raise PollError(reason, f"{seen}. {fix}", stalls=stalls)


def _meaning(status: int, source: EffectiveSource) -> tuple[Reason, str, bool]:
    if status == 204:
        return Reason.ANSWER_EMPTY, "It has no data; that is not the same as nobody.", False
    if 300 <= status < 400:
        fix = "Redirects are not followed. Check the credentials, pods.scheme and http.path."
        return Reason.REDIRECTED, fix, True
    if status == 401:
        if source.auth is None:
            return Reason.UNAUTHORIZED, "It wants credentials: give them in auth.", True
        return Reason.UNAUTHORIZED, f"Check {_secret(source)}: wrong, expired or revoked.", True
    if status == 403:
        fix = f"The account of {_secret(source)} may not list users: give it that right."
        return Reason.ACCESS_DENIED, fix, True
    if status == 404:
        return Reason.PATH_NOT_FOUND, "Check http.path, pods.port and the product's version.", True
    if status == 429:
        return Reason.TOO_MANY_REQUESTS, "Raise intervalMinutes, or the product's limit.", False
    if status >= 500:
        likely = f" {source.when_500}" if status == 500 and source.when_500 else ""
        return Reason.SERVER_ERROR, f"See the product's log; it is asked again.{likely}", False
    if status == 400 and source.pods is not None and source.pods.scheme == "HTTP":
        fix = (
            "Check http.method, http.path and http.query; a port that speaks TLS answers so to "
            "plain HTTP: then set pods.scheme to HTTPS."
        )
        return Reason.UNEXPECTED_STATUS, fix, True
    return Reason.UNEXPECTED_STATUS, "Check http.method, http.path and http.query.", 400 <= status


def _secret(source: EffectiveSource) -> str:
    if source.auth is None:
        return "the request (auth is not set)"
    if isinstance(source.auth, BasicAuth):
        return f"Secret {source.auth.secret_name}"
    return f"Secret {source.auth.secret.name}"
