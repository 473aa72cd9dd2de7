"""Running the receiver: one process, uvicorn, until SIGTERM or Ctrl-C."""

import logging
import socket
import ssl
import sys
from collections.abc import Callable
from contextlib import closing

import structlog
import uvicorn
from structlog.processors import ExceptionRenderer
from structlog.tracebacks import ExceptionDictTransformer

from licenseusage.clock import Clock
from licenseusage.errors import UNEXPECTED_FIX, Stalled, UsageError, unexpected
from licenseusage.reasons import Reason
from licenseusage.receiver.access import PagesAccess
from licenseusage.receiver.app import create_app
from licenseusage.receiver.connections import Connection, ConnectionLimits, Loop, allow_open_files
from licenseusage.receiver.settings import Address, Certificate, VendorFiles
from licenseusage.receiver.store import DatabaseAddress, ReceiverDatabase
from licenseusage.tlsfiles import ServedCertificate

CONNECTIONS = 500
"""Beyond this many requests, senders get a 503 and come back; each may hold a body of 64 KiB."""
CONNECTIONS_OF_A_CLIENT = 100
"""Of one address; behind a proxy all come from its address, and there is no limit but the other."""
SHUTDOWN_SECONDS = 10

log = structlog.get_logger(__name__)


def serve(
    *,
    address: Address,
    database: DatabaseAddress,
    certificate: Certificate | None,
    keys: VendorFiles,
    access: PagesAccess,
    clock: Clock,
    started: Callable[[str], None],
) -> None:
    """Serve until the process gets a signal to stop.

    Args:
        address: Where to listen.
        database: Where documents are kept.
        certificate: Of the server; None: plain http behind a proxy.
        keys: The vendor's.
        access: Who may see the pages.
        clock: Tells when documents arrive.
        started: Called with the receiver's address once connections are accepted.

    Raises:
        Stalled: the address is taken, the certificate is unusable, or the database's schema is not
            this build's.
        Retryable: the database does not answer.
    """
    _log_json()
    allow_open_files()
    try:
        with (
            closing(_listen(address)) as listener,
            closing(ReceiverDatabase.open(database)) as store,
        ):
            app = create_app(
                store=store,
                vendor_keys=keys.published,
                receipt_key=keys.receipt_key,
                clock=clock,
                access=access,
            )
            config = uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                server_header=False,
                lifespan="off",
                ws="none",
                http=Connection.within(
                    ConnectionLimits(
                        CONNECTIONS, CONNECTIONS if certificate is None else CONNECTIONS_OF_A_CLIENT
                    )
                ),
                loop=f"{Loop.__module__}:{Loop.__qualname__}",
                limit_concurrency=CONNECTIONS,
                timeout_graceful_shutdown=SHUTDOWN_SECONDS,
                # Only a proxy on this machine is believed, and only if TLS ends there.
                proxy_headers=certificate is None,
                ssl_certfile=None if certificate is None else certificate.certificate,
                ssl_keyfile=None if certificate is None else certificate.key,
            )
            _load(config)
            port = listener.getsockname()[1]
            started(address.url(tls=certificate is not None, port=port))
            uvicorn.Server(config).run(sockets=[listener])
    except KeyboardInterrupt:
        pass  # uvicorn has shut down, and raises the signal again
    except UsageError:
        raise  # it has a fix of its own
    except Exception as error:
        log.exception("the receiver failed", fix=UNEXPECTED_FIX)
        raise unexpected(error) from None


def _listen(address: Address) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        return socket.create_server((address.host, address.port), family=family, backlog=512)
    except OSError as error:
        raise Stalled(
            Reason.SETTINGS_INVALID,
            f"--address {address.host}:{address.port} cannot be used ({error.strerror}). "
            "Is another process listening there?",
        ) from None


def _load(config: uvicorn.Config) -> None:
    try:
        config.load()
    except (OSError, ssl.SSLError) as error:
        seen = error.strerror or type(error).__name__
        raise Stalled(
            Reason.SETTINGS_INVALID,
            f"--tls-cert {config.ssl_certfile} and --tls-key {config.ssl_keyfile} cannot be used "
            f"({seen}): a certificate and its own key are needed, both PEM.",
        ) from None
    if config.ssl_certfile is not None and config.ssl_keyfile is not None:
        files = str(config.ssl_certfile), str(config.ssl_keyfile)
        named = "--tls-cert {} and --tls-key {}".format(*files)
        config.ssl = ServedCertificate(*files, named).serving()


def _log_json() -> None:
    """Log to stderr as JSON lines, uvicorn and the libraries included."""
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.PositionalArgumentsFormatter()],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                # Local variables may hold a customer's report or our key.
                ExceptionRenderer(ExceptionDictTransformer(show_locals=False)),
                structlog.processors.EventRenamer("message"),
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
