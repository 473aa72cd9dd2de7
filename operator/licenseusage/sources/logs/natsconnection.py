"""A connection to the NATS server of one pod.

nats-py speaks NATS; here is what it must not do: reconnect, follow a cluster to its other
addresses, send a password in clear.
"""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, Final, TypeVar

from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.errors import NoRespondersError, NoServersError

from licenseusage import __version__
from licenseusage.reasons import Reason
from licenseusage.sources.definition.model import EffectiveSource
from licenseusage.sources.failures import PollError
from licenseusage.sources.logs.noconnection import FailedConnection, NotSecureError, no_connection
from licenseusage.sources.poll import Credentials, PollLimits, Target
from licenseusage.sources.reach import CONNECT_SECONDS, trust

_T = TypeVar("_T")

_CLOSE_SECONDS: Final = 1.0


class NatsConnection:
    """A connection for the length of a poll; an async context manager.

    Attributes:
        client: The client, connected and signed in.
        address: Host and port, for messages.
    """

    def __init__(
        self,
        target: Target,
        source: EffectiveSource,
        credentials: Credentials | None,
        limits: PollLimits,
    ) -> None:
        """Prepare; nothing is sent yet."""
        self._target, self._source, self._credentials = target, source, credentials
        self._limits, self._stream = limits, source.jetstream.stream
        self._refused: asyncio.Future[str] | None = None
        self._seen: Exception | None = None  # the last thing that went wrong on the wire
        self.client = Client()
        self.address = f"{target.host}:{target.port}"

    async def __aenter__(self) -> "NatsConnection":
        """Connect and sign in.

        Raises:
            PollError: No NATS server answered there, or it refuses us.
            PollError: Anything else that went wrong.
        """
        self._refused = asyncio.get_running_loop().create_future()
        target, secure = self._target, self._target.scheme == "TLS"
        context = trust(target, self._credentials)
        host = f"[{target.host}]" if ":" in target.host else target.host
        given: dict[str, Any] = {}
        if self._source.auth is not None:
            # Called right before they are sent: nats-py upgrades to TLS only if the server says so.
            given = {"user": lambda: self._secret("username"), "password": self._password}
        try:
            await self.client.connect(
                f"{'tls' if secure else 'nats'}://{host}:{target.port}",
                name=f"licenseusage/{__version__}",
                allow_reconnect=False,
                max_reconnect_attempts=1,  # 0 would mean for ever
                reconnect_time_wait=0,
                connect_timeout=CONNECT_SECONDS,  # type: ignore[arg-type]
                no_echo=True,
                tls=context,
                tls_hostname=target.server_name or (target.host if secure else None),
                error_cb=self._noted,
                **given,
            )
            self._check_encrypted()
        except BaseException as error:
            await self._close()
            if isinstance(error, Exception):
                raise no_connection(self._attempt(error)) from None
            raise
        return self

    async def __aexit__(self, *error: object) -> None:
        """Close the connection."""
        await self._close()

    async def _close(self) -> None:
        # Bounded: after a failed handshake nats-py waits for an end that does not come.
        with suppress(Exception):
            await asyncio.wait_for(self.client.close(), _CLOSE_SECONDS)

    # -- signing in --

    def _password(self) -> str:
        return self._secret("password")

    def _check_encrypted(self) -> None:
        # nats-py has no public way to tell (2.16): it upgrades exactly if this is set.
        encrypted = bool(self.client._server_info.get("tls_required"))
        if self._target.scheme == "TLS" and not encrypted:
            raise NotSecureError

    def _secret(self, name: str) -> str:
        self._check_encrypted()
        return str(getattr(self._credentials, name) or "")

    async def _noted(self, error: Exception) -> None:
        """Handle messages of the server or the connection between answers."""
        self._seen = error
        refused = self._refused
        if refused is not None and not refused.done():
            text = str(error)
            if "permissions violation" in text.lower():
                refused.set_result("permissions")

    def _attempt(self, error: Exception) -> FailedConnection:
        if isinstance(error, NoServersError) and self._seen is not None:
            error = self._seen  # nats-py only says that there are no servers left to try
        return FailedConnection(error, self._target, self._source)

    # -- asking --

    async def asked(self, question: Coroutine[Any, Any, _T]) -> _T:
        """Await an answer, or the news that the server refuses the question.

        Raises:
            PollError: In words, whatever went wrong.
        """
        assert self._refused is not None  # noqa: S101
        task = asyncio.ensure_future(question)
        either: set[asyncio.Future[Any]] = {task, self._refused}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise self._forbidden()
            return task.result()
        except TimeoutError:
            if self._refused.done():
                raise self._forbidden() from None
            if self.client.is_closed:
                raise self._lost() from None
            raise PollError(
                Reason.REQUEST_TIMEOUT,
                f"{self.address} did not answer within {self._limits.request_seconds:g} s. See "
                "how busy the server is, or raise POLL_REQUEST_SECONDS of the operator.",
            ) from None
        except NoRespondersError:
            raise self.unavailable() from None
        except (NatsError, OSError):
            raise self._lost() from None
        finally:
            task.cancel()

    def _lost(self) -> PollError:
        return PollError(
            Reason.CONNECTION_LOST,
            f"{self.address} closed the connection. See the server's log; it is tried again.",
        )

    def _forbidden(self) -> PollError:
        return PollError(
            Reason.ACCESS_DENIED,
            f"the NATS account may not read the stream {self._stream}. Allow it to publish to "
            f"$JS.API.STREAM.INFO.{self._stream}, $JS.API.CONSUMER.*.{self._stream}.> and "
            f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.>, and to subscribe to _INBOX.>.",
            stalls=True,
        )

    def unavailable(self) -> PollError:
        """Return the failure if nobody answers for JetStream; another server may answer."""
        return PollError(
            Reason.JETSTREAM_UNAVAILABLE,
            f"{self.address} has no JetStream (switched off, starting, without a leader, or not "
            "for this account). Check pods.port, the server's configuration and its log.",
        )
