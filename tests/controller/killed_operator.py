"""The real operator, killed by SIGKILL at a point: ``python killed_operator.py POINT``.

A point is ``before:Class.method`` or ``after:Class.method``; it is reached by a call about a cycle
that has ended or about its final report. Nothing of this is known to the product's code.
"""

import asyncio
import functools
import os
import signal
import sys

from licenseusage.cli import main
from licenseusage.clock import clock_from
from licenseusage.delivery.vendor import VendorClient
from licenseusage.ledger.documents.records import OutboxItem, ReportKind
from licenseusage.ledger.ledger import Ledger
from licenseusage.ledger.records import PollRecord
from licenseusage.reports.content import Kind
from licenseusage.reports.refused import Refused
from licenseusage.reports.report import read_report

CLASSES = {"Ledger": Ledger, "VendorClient": VendorClient}
CLOCK = clock_from(os.environ)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def about_the_end(arguments) -> bool:
    """Whether a call is about the end of a cycle."""
    for value in arguments:
        if isinstance(value, PollRecord):
            return any(value.started_ms > cycle.end_ms + 2000 for cycle in value.facts)
        if isinstance(value, OutboxItem):
            return value.kind is ReportKind.FINAL
        if isinstance(value, str) and value.count(".") == 2:
            try:
                return read_report(value).content.kind is Kind.FINAL
            except Refused:
                return False
    return True


def armed(method, when):
    def wrapped(self, *args, **kwargs):
        told = about_the_end([*args, *kwargs.values()])
        if told and when == "before":
            die()
        result = method(self, *args, **kwargs)
        if told and when == "after":
            die()
        return result

    async def awaited(self, *args, **kwargs):
        told = about_the_end([*args, *kwargs.values()])
        if told and when == "before":
            die()
        result = await method(self, *args, **kwargs)
        if told and when == "after":
            die()
        return result

    return functools.wraps(method)(awaited if asyncio.iscoroutinefunction(method) else wrapped)


if __name__ == "__main__":
    when, _, name = sys.argv.pop(1).partition(":")
    owner, _, method = name.partition(".")
    setattr(CLASSES[owner], method, armed(getattr(CLASSES[owner], method), when))
    sys.argv = ["licenseusage", "operator"]
    main()
