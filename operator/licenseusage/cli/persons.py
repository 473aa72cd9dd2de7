"""Commands about one person: who may ask, how the id travels, and the record of each use.

The id reaches the pod by standard input: it is in no process list, and in no audit log of
``pods/exec``, which has the arguments.
"""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

import typer

from licenseusage.api.model import rfc3339
from licenseusage.cli.inpod import OperatorPod, run_in_pod
from licenseusage.cli.kubectl import Kubectl
from licenseusage.cli.looking import look
from licenseusage.clock import SystemClock, clock_from
from licenseusage.controller.effects.personlog import PersonRequest, record
from licenseusage.controller.rules.declared import Declared
from licenseusage.controller.rules.key import Key
from licenseusage.controller.rules.preview import Seen
from licenseusage.controller.settings import ALLOWED, PREFIX, Settings, from_mapping
from licenseusage.errors import Stalled
from licenseusage.ledger.storage.database import path_of
from licenseusage.metering.pseudonym import record_name
from licenseusage.reasons import Reason
from licenseusage.sources.ids import normalizer

STDIN = "-"
MOST_CHARACTERS = 1024

PersonOption = Annotated[
    str,
    typer.Option(
        "--user",
        metavar="ID",
        help="Id of the person as the source reads it (users.id); '-' reads it from standard "
        "input, so that it is in no shell history.",
    ),
]
CallerOption = Annotated[
    str, typer.Option("--caller", hidden=True, help="Who asks; the command finds it out itself.")
]


@dataclass(frozen=True, slots=True)
class Request:
    """A request about a person, in the operator's pod.

    Attributes:
        action: The command.
        usage: The LicenseUsage.
        person: The id; never printed into a log.
        caller: Who says to ask.
    """

    action: str
    usage: Key
    person: str
    caller: str


def person_of(option: str) -> str:
    """Return the id that an option gives or names.

    Raises:
        BadParameter: There is none, or it is no id.
    """
    person = sys.stdin.readline().rstrip("\r\n") if option == STDIN else option
    if not person.strip():
        raise typer.BadParameter("there is no id", param_hint="--user")
    if len(person) > MOST_CHARACTERS or "\n" in person:
        raise typer.BadParameter(
            f"an id is one line of at most {MOST_CHARACTERS} characters", param_hint="--user"
        )
    return person


def normalised(source: Declared, person: str) -> str:
    """Return an id as a source compares it; as given, where its definition names no ids."""
    if source.source is None or source.source.states_number:
        return person
    return normalizer(source.source.users.normalize)(person)


def ask_in_pod(pod: OperatorPod, arguments: Sequence[str], person: str) -> bytes:
    """Run a command about a person in the operator's pod; return what it prints.

    Raises:
        UsageError, Exit: See `run_in_pod`.
    """
    caller = Kubectl(pod.context, pod.kubeconfig).whoami() or "unknown"
    first = next(at for at, word in enumerate(arguments) if word.startswith("-"))
    options = [f"--user={STDIN}", f"--caller={caller}"]
    command = [*arguments[:first], *options, *arguments[first:]]
    return run_in_pod(pod, command, stdin=f"{person}\n".encode())


def permitted(settings: Settings) -> None:
    """Let a request pass if the operator's settings allow any.

    Raises:
        Stalled: ``PersonRequestsRefused``.
    """
    if settings.person_requests != ALLOWED:
        raise Stalled(
            Reason.PERSON_REQUESTS_REFUSED,
            f"{PREFIX}PERSON_REQUESTS is {settings.person_requests}: nobody is looked for in the "
            f"ledger. If your privacy officer agrees, set it to {ALLOWED} at the operator "
            f"(docs/privacy.md).",
        )


@dataclass(frozen=True, slots=True)
class Admitted:
    """A request that is permitted and recorded, with what it needs.

    Attributes:
        settings: The operator's.
        clock: Tells the time.
        seen: What the cluster shows of the LicenseUsage.
        key: The pseudonym key.
    """

    settings: Settings
    clock: SystemClock
    seen: Seen
    key: bytes


def admitted(request: Request) -> Admitted:
    """Let a request in the operator's pod pass, recorded before anything is looked up.

    Raises:
        UsageError: It is not permitted, the cluster does not show what it needs, or it cannot be
            recorded.
    """
    settings, clock = from_mapping(os.environ), clock_from(os.environ)
    permitted(settings)
    seen, pseudonym = look(settings, request.usage, clock)
    note(settings, request, pseudonym.value, clock.now_ms())
    return Admitted(settings, clock, seen, pseudonym.value)


def note(settings: Settings, request: Request, key: bytes, now_ms: int) -> None:
    """Record a request, durable when this returns.

    Args:
        settings: The operator's: where its ledger is.
        request: The request.
        key: The pseudonym key, which names the person in the record.
        now_ms: The time.

    Raises:
        Stalled: ``NotWritable``.
    """
    entry = PersonRequest(
        time=rfc3339(now_ms),
        action=request.action,
        caller=request.caller,
        usage=str(request.usage),
        person=record_name(key, request.person),
    )
    record(path_of(settings.database_url), entry)


def day_text(at_ms: int) -> str:
    """Return the day of a time, ``YYYY-MM-DD`` UTC."""
    return datetime.fromtimestamp(at_ms // 1000, UTC).date().isoformat()
