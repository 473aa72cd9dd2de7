"""Where the operator can be killed: before, within and after each of its effects.

The hooks are put around the product's own methods from outside, in the process that is to die;
nothing in the product knows of them. An effect is a transaction of the ledger, a write to the API
server, a document put to the vendor, or a poll. ``within`` a transaction means that every statement
was made and nothing is committed.
"""

import functools
import inspect
import os
import re
import signal
import threading
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection

from licenseusage.controller.effects.kube import Kube
from licenseusage.controller.rules.keysecrets import NEXT_KEY
from licenseusage.delivery.vendor import VendorClient
from licenseusage.ledger.documents.records import OutboxItem
from licenseusage.ledger.ledger import Ledger
from licenseusage.ledger.records import PollRecord
from licenseusage.ledger.storage import database
from licenseusage.metering.cycles import Cycle
from licenseusage.reports.report import read_report
from licenseusage.reports.typs import LICENSE, REPORT, SUCCESSION
from licenseusage.sources.workers.workers import Workers
from trials.kills import journal
from trials.kills.journal import Journal

LEDGER_WRITES: Final = tuple(
    sorted(
        name
        for name, method in inspect.getmembers(Ledger, inspect.isfunction)
        if "_write" in method.__code__.co_names
    )
)
"""Every method of the ledger that is a transaction: read off the class, so that none is missed."""

NOT_PLAYED: Final = {
    "begin_anew": "each object has reports at the vendor when its ledger is lost (see trials/soak)",
    "contradict": "all that these products declare holds",
    "record_clock_step": "no clock is set back here: each start is later than the one before",
    "replace_amendment": "this vendor refuses nothing",
    "replace_final": "this vendor refuses nothing",
    "resend_key_statements": "this vendor never forgets a key",
}
"""Transactions that this story has no occasion for; tests of the ledger crash in each of them."""

_DOCUMENTS = ("Enrolment", "Succession", "Interim", "Final", "Amendment")
_ABOUT_DOCUMENTS = {
    "record_result": _DOCUMENTS,
    "add_key_statement": ("Enrolment", "Succession"),
}
_KUBE = (
    "create secrets",
    "update secrets",
    "update secrets next",
    "create usagereports Final",
    "create usagereports Interim",
    "create usagereports Amendment",
    "apply usagereports/status AwaitingApproval",
    "apply usagereports/status Pending",
    "apply usagereports/status Accepted",
    "delete usagereports",
    "apply licenseusages/status",
    "apply usagereceipts/status",
    "patch configmaps",
    "create events",
    "patch events",
)
_VERBS = {"POST": "create", "PUT": "update", "DELETE": "delete"}
_PATH = re.compile(r"/namespaces/[^/]+/(?P<plural>[a-z]+)(?:/[^/]+(?P<sub>/status)?)?$")


def _all() -> tuple[str, ...]:
    places = ["before ledger create", "after ledger create", "before poll", "after poll"]
    for name in LEDGER_WRITES:
        if name in NOT_PLAYED:
            continue
        kinds = _ABOUT_DOCUMENTS.get(name, ("",))
        names = [f"{name} {kind}".rstrip() for kind in kinds]
        if name == "record_poll":
            names.append("record_poll closing")
        places += [
            f"{when} ledger {write}" for write in names for when in ("before", "within", "after")
        ]
    puts = [f"put {kind}" for kind in (*_DOCUMENTS, "Licence")]
    places += [f"{when} {effect}" for effect in (*_KUBE, *puts) for when in ("before", "after")]
    return tuple(places)


PLACES: Final = _all()
"""Every place of the sweep."""

AT_THE_END: Final = (
    "after ledger record_poll closing",
    "within ledger begin_close",
    "before ledger close_cycle",
    "within ledger close_cycle",
    "after ledger close_cycle",
    "before put Final",
    "after put Final",
    "within ledger record_result Final",
    "before create usagereports Final",
    "after apply usagereports/status Accepted",
)
"""One of each kind, on the way from a cycle's closing poll to its receipt: the short sweep."""


_BY_DEEDS = (
    "Succession", "secrets next", "wait_for_export", "record_receipt", "usagereceipts",
    "follow_approvals", "AwaitingApproval", "stop_chain", "take_over",
    "adopt", "resend_if_rerouted", "patch configmaps",
)  # fmt: skip

BY_DEEDS: Final = tuple(place for place in PLACES if any(words in place for words in _BY_DEEDS))
"""What only an administrator's deeds lead to: rotations, exports, receipts, approvals, restores."""

_BEGINNING = (
    "ledger create", "create secrets", "ledger ensure_meter", "ledger keep_terms",
    "ledger add_key_statement", "ledger resend_if_rerouted", "Enrolment", "update secrets",
    "patch configmaps",
)  # fmt: skip


def only_at_the_beginning(place: str) -> bool:
    """Whether a place is passed while an installation or an object is new, and never again."""
    return any(words in place for words in _BEGINNING)


def unlisted(passed: Iterable[str]) -> list[str]:
    """Return places that were passed and belong to no sweep: effects that were forgotten here."""
    return sorted(set(passed) - set(PLACES))


class Guillotine:
    """Notes each place that is passed, and kills at the one that is armed."""

    def __init__(self, armed: Mapping[str, int], written: Journal) -> None:
        """Kill at the n-th time that one of ``armed`` (place -> n) is passed."""
        self._armed, self.journal = dict(armed), written
        self._lock = threading.Lock()  # the ledger has a thread of its own

    def passes(self, when: str, effect: str) -> None:
        """Note a place; this call does not return if it is the one."""
        place = f"{when} {effect}"
        with self._lock:
            left = self._armed.get(place, 0)
            if left:
                self._armed[place] = left - 1
            self.journal.write(journal.PASSED if left != 1 else journal.KILLED, place)
        if left == 1:
            os.kill(os.getpid(), signal.SIGKILL)


def install(guillotine: Guillotine) -> None:
    """Put the hooks around every effect of this process."""
    _Transactions(guillotine).install()
    _around_creation(guillotine)
    _awaited(Kube, "_call", guillotine, _kube_effect)
    _awaited(VendorClient, "put", guillotine, _put_effect)
    _awaited(Workers, "poll", guillotine, lambda *_, **__: "poll")


class _Transactions:
    """Hooks around the ledger's transactions, and a note of what each committed."""

    def __init__(self, guillotine: Guillotine) -> None:
        self._guillotine = guillotine
        self._effect = threading.local()

    def install(self) -> None:
        write = Ledger._write

        @contextmanager
        def within(ledger: Ledger, now_ms: int) -> Iterator[Connection]:
            with write(ledger, now_ms) as connection:
                yield connection
                self._guillotine.passes("within", self._effect.name)

        Ledger._write = within  # type: ignore[method-assign, assignment]
        for name in LEDGER_WRITES:
            setattr(Ledger, name, self._around(name, getattr(Ledger, name)))

    def _around(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def wrapped(ledger: Ledger, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
            effect = f"ledger {_about(name, args)}"
            self._guillotine.passes("before", effect)
            self._effect.name = effect
            result = method(ledger, *args, **kwargs)
            _note(self._guillotine.journal, ledger, name, args, result)
            self._guillotine.passes("after", effect)
            return result

        return wrapped


def _about(name: str, args: tuple[Any, ...]) -> str:
    """A transaction's name, with what it is about where that makes a difference."""
    first = args[0] if args else None
    if isinstance(first, PollRecord):
        closes = any(first.started_ms >= cycle.end_ms for cycle in first.facts)
        return f"{name} closing" if closes else name
    if isinstance(first, OutboxItem):
        return f"{name} {first.kind}"
    if name == "add_key_statement":
        return f"{name} {args[1]}"
    return name


def _note(
    written: Journal,
    ledger: Ledger,
    name: str,
    args: tuple[Any, ...],
    result: Any,  # noqa: ANN401
) -> None:
    """Write down what has just been committed; objects by name, since a ledger may be lost."""
    if name == "record_poll":
        poll: PollRecord = args[0]
        for cycle, facts in poll.facts.items():
            users = {user.hex(): word for user, word in facts.sure.items()}
            of = _object(ledger, poll.meter_id)
            written.write(journal.COMMITTED, [of, cycle.start_ms, users])
    elif name == "begin_close":
        meter_id, cycle = args
        assert isinstance(cycle, Cycle)  # noqa: S101
        bounds = result.statement.bounds
        numbers = [bounds.active_users, bounds.active_users_upper_bound]
        of = _object(ledger, meter_id)
        written.write(journal.DECIDED, [of, cycle.start_ms, result.at_ms, *numbers])
    elif isinstance(result, OutboxItem):
        written.write(journal.SIGNED, [result.jti, result.token])


def _object(ledger: Ledger, meter_id: int) -> str:
    return next(meter.key.name for meter in ledger.meters() if meter.id == meter_id)


def _around_creation(guillotine: Guillotine) -> None:
    create = database._create

    def wrapped(path: Path, now_ms: int, ledger_id: str) -> None:
        guillotine.passes("before", "ledger create")
        create(path, now_ms, ledger_id)
        guillotine.passes("after", "ledger create")

    database._create = wrapped


def _awaited(
    owner: type, name: str, guillotine: Guillotine, effect_of: Callable[..., str | None]
) -> None:
    method: Callable[..., Awaitable[Any]] = getattr(owner, name)

    @functools.wraps(method)
    async def wrapped(self: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        effect = effect_of(*args, **kwargs)
        if effect is not None:
            guillotine.passes("before", effect)
        result = await method(self, *args, **kwargs)
        if effect is not None:
            guillotine.passes("after", effect)
        return result

    setattr(owner, name, wrapped)


def _kube_effect(
    method: str,
    path: str,
    what: str,
    *,
    body: Mapping[str, Any] | None = None,
    **_: object,
) -> str | None:
    """Name a call of the API server; None: it reads."""
    match = _PATH.search(path)
    if method == "GET" or match is None:
        return None
    plural, sub = match["plural"], match["sub"] or ""
    verb = _VERBS.get(method) or ("apply" if sub else "patch")
    about = ""
    if plural == "secrets" and verb == "update" and body is not None and NEXT_KEY in body["data"]:
        about = "next"
    if plural == "usagereports" and body is not None:
        about = body["status"]["delivery"] if sub else body["spec"]["kind"]
    return f"{verb} {plural}{sub} {about}".rstrip()


def _put_effect(endpoint: str, typ: str, jti: str, token: str) -> str:
    if typ == LICENSE:
        return "put Licence"
    if typ != REPORT:
        return "put Succession" if typ == SUCCESSION else "put Enrolment"
    return f"put {read_report(token).content.kind.value.capitalize()}"
