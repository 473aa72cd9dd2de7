"""JSON logs on standard error by structlog: one line per fact, keyed by object; nothing personal.

Names of objects, reasons and durations are logged; answers of products, Secrets, user ids and
pseudonyms never are. So an exception is logged by its type and the places it passed, without its
text and without local variables: either may hold what was just read.
"""

import logging
import sys
import traceback

import structlog

_FRAMES = 20


def configure(level: str) -> None:
    """Send this process's logs, kopf's and the libraries' included, to stderr as JSON lines.

    Args:
        level: debug, info, warning or error.
    """
    number = logging.getLevelNamesMapping()[level.upper()]
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.PositionalArgumentsFormatter()],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _places_only,
                structlog.processors.EventRenamer("message"),
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(number)
    # One INFO line per watch event otherwise; the rest of kopf is quieter than
    # that.
    for noisy in ("kopf.objects", "kopf._core", "aiohttp.access", "httpx", "httpcore"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    logging.getLogger("asyncio").setLevel(logging.WARNING)


def _places_only(
    _logger: object, _method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """Replace ``exc_info`` by the exception's type and frames."""
    info = event.pop("exc_info", None)
    if info is True:
        info = sys.exc_info()
    error = info[1] if isinstance(info, tuple) else info
    if isinstance(error, BaseException):
        frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
        event["exception"] = type(error).__qualname__
        event["frames"] = [f"{f.filename}:{f.lineno} {f.name}" for f in frames]
    return event
