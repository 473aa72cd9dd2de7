"""Defects: an unexpected exception becomes a condition whose id finds it in the log.

A defect must neither be silent (an object that goes on saying Ready=True) nor stop more than it
touches. Its text is never told: it may hold what was just read.
"""

import hashlib
import os
import traceback

import structlog

from licenseusage.controller.effects.metrics import Metrics
from licenseusage.controller.rules.key import Key
from licenseusage.errors import Failure
from licenseusage.reasons import Reason

_log = structlog.get_logger(__name__)


def problem_of(error: Exception, metrics: Metrics, key: Key, doing: str) -> Failure:
    """Log and count an unforeseen exception; return what to tell of it.

    Call it where the exception is handled: its traceback is logged.

    Args:
        error: The exception.
        metrics: Counts it.
        key: The object that met it.
        doing: What was being done, in words that follow "while".
    """
    defect_id = identity(error)
    metrics.reconcile_errors.inc()
    _log.error("defect", defect=defect_id, object=str(key), doing=doing, exc_info=error)
    return Failure(
        Reason.INTERNAL_ERROR,
        f"The operator failed while {doing} ({type(error).__qualname__}). This is a defect of the "
        f"operator: search its log for {defect_id} and report that line. It is tried again; what "
        f"else is due of this object goes on.",
        ours=True,
    )


def identity(error: BaseException) -> str:
    """Return 8 hex digits that name a kind of failure: its type and the places that it passed.

    The same defect has the same id whenever it is met, so that a condition does not change.
    """
    digest = hashlib.sha256(type(error).__qualname__.encode())
    for frame in traceback.extract_tb(error.__traceback__):
        digest.update(f"\0{os.path.basename(frame.filename)}:{frame.lineno}".encode())
    return digest.hexdigest()[:8]
