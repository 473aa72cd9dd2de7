"""A connection to the Redis server of one pod.

redis-py speaks Redis; here is what it must not do: reconnect, try again, follow a cluster to its
other addresses, tell the server about itself.
"""

import ssl
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, cast

from redis.asyncio.connection import Connection
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    NoPermissionError,
    RedisError,
    ResponseError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from licenseusage.reasons import Reason
from licenseusage.sources.definition.model import EffectiveSource
from licenseusage.sources.failures import PollError
from licenseusage.sources.logs.noconnection import FailedConnection, no_connection
from licenseusage.sources.poll import Credentials, PollLimits, Target
from licenseusage.sources.reach import CONNECT_SECONDS, trust


class RedisConnection:
    """A connection for the length of a poll; an async context manager.

    Attributes:
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
        self._target, self._source, self._limits = target, source, limits
        self._credentials = credentials
        self.address = f"{target.host}:{target.port}"
        self._connection: Connection | None = None

    async def __aenter__(self) -> "RedisConnection":
        """Connect and sign in.

        Raises:
            PollError: No Redis server answered there, or it refuses us.
        """
        target, credentials = self._target, self._credentials
        context = trust(target, credentials)
        given: dict[str, Any] = {}
        if self._source.auth is not None and credentials is not None:
            given = {"username": credentials.username or None, "password": credentials.password}
        connection = Connection(
            host=target.host,
            port=target.port,
            db=self._source.redis_stream.database,
            protocol=2,
            driver_info=None,
            socket_connect_timeout=CONNECT_SECONDS,
            socket_timeout=self._limits.request_seconds,
            **given,
        )
        if context is not None:
            # redis-py (8.1) takes no context of our own, and files with certificates only.
            cast(Any, connection)._connection_arguments = lambda: {
                "host": target.host,
                "port": target.port,
                "ssl": context,
                "server_hostname": target.server_name or target.host,
            }
        try:
            await cast(Any, connection).connect()
        except BaseException as error:
            await _closed(connection)
            if isinstance(error, RedisError | OSError):
                raise self._no_connection(error) from None
            raise
        self._connection = connection
        return self

    async def __aexit__(self, *error: object) -> None:
        """Close the connection."""
        if self._connection is not None:
            await _closed(self._connection)

    async def ask(self, *commands: Sequence[str | int]) -> list[Any]:
        """Send commands at once, and return their answers.

        Raises:
            PollError: In words, whatever went wrong with one of them.
        """
        connection = self._connection
        assert connection is not None  # noqa: S101
        answers: list[Any] = []
        try:
            await connection.send_packed_command(connection.pack_commands(commands))
            for _ in commands:
                try:
                    answers.append(await connection.read_response(disconnect_on_error=False))
                except (ResponseError, AuthenticationError, BusyLoadingError) as refused:
                    answers.append(refused)
        except RedisTimeoutError:
            raise PollError(
                Reason.REQUEST_TIMEOUT,
                f"{self.address} did not answer within {self._limits.request_seconds:g} s. See "
                "how busy the server is, or raise POLL_REQUEST_SECONDS of the operator.",
            ) from None
        except (RedisError, OSError) as error:
            raise self._lost(error) from None
        for answer in answers:
            if isinstance(answer, Exception):
                raise self._refusal(answer)
        return answers

    # -- failures --

    def _no_connection(self, error: Exception) -> PollError:
        if isinstance(error, AuthenticationError):
            return self._unauthorized()
        if isinstance(error, NoPermissionError | ResponseError):
            return self._refusal(error)
        if isinstance(error, RedisTimeoutError):
            return no_connection(FailedConnection(TimeoutError(), self._target, self._source))
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, ssl.SSLError) or (isinstance(cause, OSError) and cause.errno):
                return no_connection(FailedConnection(cause, self._target, self._source))
            cause = cause.__cause__ or cause.__context__
        return self._lost(error)

    def _unauthorized(self) -> PollError:
        auth = self._source.auth
        if auth is None:
            message = f"{self.address} wants a user and a password: give them in auth.basic."
        else:
            message = (
                f"{self.address} refuses the user or the password. Check Secret "
                f"{auth.secret_name}: wrong, expired or revoked (the user without a name is "
                "called default)."
            )
        return PollError(Reason.UNAUTHORIZED, message, stalls=True)

    def _lost(self, error: Exception) -> PollError:
        if isinstance(error, AuthenticationError):
            return self._unauthorized()
        if "clients reached" in str(error):
            return self._refusal(error)
        if isinstance(error, RedisConnectionError | OSError) and "Protocol" not in str(error):
            tls = "" if self._target.scheme == "TLS" else " whether it wants TLS (pods.scheme), and"
            return PollError(
                Reason.CONNECTION_LOST,
                f"{self.address} closed the connection. See{tls} the server's log; it is tried "
                "again.",
            )
        return self.strange()

    def strange(self) -> PollError:
        """Return the failure of a server whose answers are not those of Redis."""
        return PollError(
            Reason.NOT_REDIS,
            f"{self.address} does not answer as a Redis server (7.0 or newer). Check pods.port, "
            "and the server's version.",
        )

    def _refusal(self, error: Exception) -> PollError:
        """Return the failure of a command that the server has refused."""
        text, kind = str(error), type(error).__name__
        stream = self._source.redis_stream.stream
        if isinstance(error, NoPermissionError):
            return PollError(
                Reason.ACCESS_DENIED,
                f"the Redis user may not read the stream {stream}. Allow it: ACL SETUSER NAME "
                f"%R~{stream} +xinfo|stream +xrange +xrevrange +time +info +select.",
                stalls=True,
            )
        if isinstance(error, AuthenticationError | AuthorizationError) or "NOAUTH" in text:
            return self._unauthorized()
        if "no such key" in text:
            return PollError(
                Reason.STREAM_NOT_FOUND,
                f"there is no stream {stream} at {self.address}. Check redis.stream, "
                "redis.database and pods.port; the product makes it when it writes its first "
                "event.",
                stalls=True,
            )
        if "WRONGTYPE" in text:
            return PollError(
                Reason.STREAM_NOT_A_LOG,
                f"the key {stream} at {self.address} is no stream. Correct redis.stream.",
                stalls=True,
            )
        if kind in ("MovedError", "AskError") or text.startswith(("MOVED", "ASK")):
            return self.not_primary(f"the stream {stream} is at another node of its cluster")
        if "unknown command" in text.lower():
            return self.strange()
        return PollError(
            Reason.BROKER_FAILED,
            f"{self.address} does not let the stream {stream} be read ({_words_of(error)}). See "
            "the server's log; it is tried again.",
        )

    def not_primary(self, why: str) -> PollError:
        """Return the failure of a server that has no or only a copy of the stream."""
        return PollError(
            Reason.NOT_PRIMARY,
            f"{self.address} cannot answer for the stream: {why}. Select the primary, or all pods: "
            "then the one that can is asked.",
        )


def _words_of(error: Exception) -> str:
    """Return the kind of a refusal, without what it quotes."""
    if isinstance(error, BusyLoadingError):
        return "it is loading its data"
    word = str(error).split(" ", 1)[0]
    return word if word.isupper() and word.isalpha() and word != "ERR" else "an error"


async def _closed(connection: Connection) -> None:
    with suppress(RedisError, OSError):
        await connection.disconnect(nowait=True)
