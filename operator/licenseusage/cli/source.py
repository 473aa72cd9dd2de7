"""``licenseusage source check``: try a source against any address, without a cluster.

The same code polls as in the operator, in a worker process of its own. A person names the address
here, so any address may be asked, this machine's own too.
"""

import asyncio
import os
import secrets
import sys
from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

import typer

from licenseusage.api.model import rfc3339
from licenseusage.cli.exits import NOT_OK, UNDETERMINED
from licenseusage.cli.output import Output, OutputOption, print_fields, print_json
from licenseusage.cli.source_file import SourceFile, read_source_file
from licenseusage.clock import SystemClock, clock_from
from licenseusage.controller.settings import Settings
from licenseusage.errors import Stalled
from licenseusage.metering.cycles import Cycle, Terms
from licenseusage.reasons import Reason
from licenseusage.sources.definition.model import BasicAuth, EffectiveSource, Scheme
from licenseusage.sources.definition.presets import effective
from licenseusage.sources.poll import (
    Credentials,
    CycleRequest,
    PollLimits,
    PollRequest,
    PollResult,
    Target,
    credentials,
)
from licenseusage.sources.support import supported
from licenseusage.sources.workers.workers import Workers

DEFAULT_DAYS = 30
_LIMITS: Final = Settings()
"""The operator's own limits, so that a check fails where the operator would."""
_OUT_OF_REACH = {
    Reason.UNREACHABLE,
    Reason.CONNECTION_LOST,
    Reason.REQUEST_TIMEOUT,
    Reason.POLL_TIMEOUT,
    Reason.WORKER_FAILED,
}
"""Failures that say nothing about the source: it could not be found out."""

_PORTS = {"http": 80, "https": 443, "nats": 4222, "tls": 4222}
_SCHEMES: dict[str, Scheme] = {"http": "HTTP", "https": "HTTPS", "nats": "NATS", "tls": "TLS"}


def _limit(name: str) -> Any:  # noqa: ANN401 - typer's option
    """Return an option of the operator's setting of that name, with its range and words."""
    (setting,) = (setting for setting in fields(Settings) if setting.name == name)
    return typer.Option(
        min=setting.metadata["least"], max=setting.metadata["most"], help=setting.metadata["help"]
    )


app = typer.Typer(
    help="Try a source definition against a product, without a cluster.", no_args_is_help=True
)


@app.callback()
def source() -> None:
    """Try a source definition against a product, without a cluster."""


@app.command()
def check(
    file: Annotated[
        str,
        typer.Argument(help="YAML file with a LicenseUsage or a source; - for standard input."),
    ],
    url: Annotated[
        str,
        typer.Option(
            help="Address of the product: https://host:port (the source has the path), or "
            "tls://host:port for an event log; http and nats are without TLS."
        ),
    ],
    secret: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME/KEY=VALUE", help="A Secret's value. May be repeated."),
    ] = None,
    secret_file: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME/KEY=PATH",
            help="A Secret's value from a file, or - for standard input, which keeps it out of "
            "the shell's history. May be repeated.",
        ),
    ] = None,
    ca: Annotated[
        Path | None,
        typer.Option(help="PEM file of the CA that signed the product's certificate."),
    ] = None,
    name: Annotated[
        str | None, typer.Option("--source", help="Name of the source, if the file has several.")
    ] = None,
    cycle_start: Annotated[
        str | None,
        typer.Option(
            metavar="YYYY-MM-DD",
            help="First day of the cycle, UTC. Default: that of the LicenseUsage, or 29 days ago.",
        ),
    ] = None,
    cycle_days: Annotated[
        int, typer.Option(min=1, max=62, help="Length of the cycle with --cycle-start.")
    ] = DEFAULT_DAYS,
    closing: Annotated[
        bool,
        typer.Option(
            "--closing",
            help="Poll as at the end of a cycle: read a list twice if one pass proves nothing.",
        ),
    ] = False,
    show_ids: Annotated[
        bool, typer.Option("--show-ids", help="Print the ids of the counted users. Personal data!")
    ] = False,
    poll_request_seconds: Annotated[
        int, _limit("poll_request_seconds")
    ] = _LIMITS.poll_request_seconds,
    poll_seconds: Annotated[int, _limit("poll_seconds")] = _LIMITS.poll_seconds,
    poll_bytes: Annotated[int, _limit("poll_bytes")] = _LIMITS.poll_bytes,
    poll_pages: Annotated[int, _limit("poll_pages")] = _LIMITS.poll_pages,
    poll_users: Annotated[int, _limit("poll_users")] = _LIMITS.poll_users,
    worker_bytes: Annotated[int, _limit("worker_bytes")] = _LIMITS.worker_bytes,
    output: OutputOption = Output.TABLE,
) -> None:
    """Poll once and show the result: users or events, what was skipped and why, what is proved.

    Nothing is stored, and nothing is sent except to the given address. Exit code 0: the poll
    succeeded. 1: the source or the answer is wrong. 3: the product could not be reached.

    Examples:
        licenseusage source check usage.yaml --url https://10.1.2.3:9200 --ca ca.crt
            --secret opencloud-meter/username=admin
            --secret-file opencloud-meter/password=-

        kubectl port-forward deploy/hub 8081 &
        licenseusage source check hub.yaml --url http://127.0.0.1:8081
            --secret-file hub-token/token=token.txt

        POD=$(kubectl get pod -o name -l app.kubernetes.io/component=opencloud | head -n 1)
        kubectl port-forward "$POD" 9233 &
        licenseusage source check events.yaml --url nats://127.0.0.1:9233
    """
    read = read_source_file(file, name)
    values = _secret_values(secret or [], secret_file or [])
    clock = clock_from(os.environ)
    try:
        source = effective(read.source)
        read.refuse()
        given = _credentials(source, values)
        cycle = _cycle(read, cycle_start, cycle_days, clock)
    except Stalled as error:
        typer.echo(f"error: {error.reason}: {error.message}", err=True)
        raise typer.Exit(NOT_OK) from None
    request = PollRequest(
        source=source,
        targets=(_target(url, ca, source),),
        product=read.product,
        pseudonym_key=secrets.token_bytes(32),
        cycles=(CycleRequest(cycle),),
        credentials=given,
        closing=closing,
        limits=PollLimits(
            request_seconds=poll_request_seconds,
            poll_seconds=poll_seconds,
            poll_bytes=poll_bytes,
            poll_pages=poll_pages,
            poll_users=poll_users,
            worker_bytes=worker_bytes,
        ),
        clock_offset_ms=clock.offset_seconds * 1000,
        show_ids=show_ids,
        advise=True,
    )
    result = asyncio.run(_poll(request, clock))
    if output is Output.JSON:
        print_json(_facts(source, cycle, result, show_ids=show_ids))
    else:
        _print(source, cycle, result)
    if result.failure is not None:
        raise typer.Exit(UNDETERMINED if result.failure.reason in _OUT_OF_REACH else NOT_OK)


async def _poll(request: PollRequest, clock: SystemClock) -> PollResult:
    async with Workers(1, clock=clock) as workers:
        return await workers.poll(request)


def _target(url: str, ca: Path | None, source: EffectiveSource) -> Target:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    plain, secured = ("nats", "tls") if source.reads_log else ("http", "https")
    if parts.scheme not in (plain, secured) or not parts.hostname or parts.username is not None:
        raise typer.BadParameter(
            f"give {plain}://host:port or {secured}://host:port", param_hint="--url"
        )
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise typer.BadParameter(
            "give scheme, host and port only; what to read there stands in the source",
            param_hint="--url",
        )
    secure = parts.scheme == secured
    try:
        pem = ca.read_text("utf-8") if ca else None
    except (OSError, UnicodeDecodeError):
        raise typer.BadParameter(f"{ca} cannot be read as a PEM file", param_hint="--ca") from None
    return Target(
        host=parts.hostname,
        port=port or _PORTS[parts.scheme],
        scheme=_SCHEMES[parts.scheme],
        ca_pem=pem if secure else None,
        server_name=source.pods.server_name if secure and source.pods else None,
    )


def _secret_values(values: list[str], files: list[str]) -> dict[str, dict[str, bytes]]:
    """Return Secret name -> key -> value."""
    secrets: dict[str, dict[str, bytes]] = {}
    for option, entries in (("--secret", values), ("--secret-file", files)):
        for entry in entries:
            place, equals, text = entry.partition("=")
            name, slash, key = place.partition("/")
            if not (name and slash and key and equals):
                what = "VALUE" if option == "--secret" else "PATH"
                raise typer.BadParameter(f"expected NAME/KEY={what}", param_hint=option)
            secrets.setdefault(name, {})[key] = (
                text.encode() if option == "--secret" else _read_secret(text)
            )
    return secrets


def _read_secret(path: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    except OSError as error:
        raise typer.BadParameter(f"{path}: {error.strerror}", param_hint="--secret-file") from None


def _credentials(
    source: EffectiveSource, values: Mapping[str, Mapping[str, bytes]]
) -> Credentials | None:
    if source.auth is None:
        return None
    if isinstance(source.auth, BasicAuth):
        name, keys = source.auth.secret_name, ["username", "password"]
    else:
        name, keys = source.auth.secret.name, [source.auth.secret.key]
    missing = [key for key in keys if key not in values.get(name, {})]
    if missing:
        wanted = " and ".join(f"--secret {name}/{key}=VALUE" for key in missing)
        raise typer.BadParameter(
            f"source {source.name} needs {wanted} (or --secret-file)", param_hint="--secret"
        )
    return credentials(source.auth, values[name], f"Secret {name}")


def _cycle(read: SourceFile, start: str | None, days: int, clock: SystemClock) -> Cycle:
    now_ms = clock.now_ms()
    if start is None and read.terms is not None:
        cycle = read.terms.at(now_ms)
        if cycle is not None:
            return cycle
    if start is None:
        today = datetime.fromtimestamp(now_ms // 1000, UTC).date()
        return Terms(today - timedelta(days=DEFAULT_DAYS - 1), length_days=DEFAULT_DAYS).cycle(0)
    try:
        anchor = date.fromisoformat(start)
    except ValueError:
        raise typer.BadParameter("expected YYYY-MM-DD", param_hint="--cycle-start") from None
    return Terms(anchor, length_days=days).cycle(0)


def _facts(
    source: EffectiveSource, cycle: Cycle, result: PollResult, *, show_ids: bool
) -> dict[str, Any]:
    """Everything that was seen, for programs; times as in the custom resources."""
    best = supported(source, result)
    facts: dict[str, Any] = {
        "source": source.name,
        "preset": source.preset,
        "activityDefinition": source.definition,
        "cycle": {"startTime": rfc3339(cycle.start_ms), "endTime": rfc3339(cycle.end_ms)},
        "asOfTime": rfc3339(result.ended_ms),
        "pages": result.pages,
        "bytes": result.bytes,
        "seconds": round(result.seconds, 3),
        "usersListed": None if source.reads_log else result.users_listed,
        "eventsRead": result.users_listed if source.reads_log else None,
        "provisionedUsers": result.provisioned,
        "usersCounted": result.counted,
        "skipped": result.skipped,
        "clockSkewSeconds": result.clock_skew_ms / 1000,
        "complete": result.complete,
        "incomplete": _reason(result.incomplete),
        "lost": [
            {
                "startTime": rfc3339(hole.start_ms),
                "endTime": rfc3339(hole.end_ms),
                "reason": hole.reason,
            }
            for reading in result.readings.values()
            for hole in reading.holes
        ],
        "note": result.hint,
        "notes": list(result.notes),
        "accuracyAtBest": {"accuracy": str(best.accuracy), "message": best.why},
        "failure": _reason(result.failure),
    }
    if show_ids:
        facts["ids"] = list(result.ids)
    return facts


def _reason(failure: Any) -> dict[str, str] | None:  # noqa: ANN401 - Failure or None
    return {"reason": failure.reason, "message": failure.message} if failure else None


def _print(source: EffectiveSource, cycle: Cycle, result: PollResult) -> None:
    best = supported(source, result)
    skipped = ", ".join(f"{count} {reason}" for reason, count in sorted(result.skipped.items()))
    log = source.reads_log
    print_fields(
        [
            ("source", source.name + (f" (preset {source.preset})" if source.preset else "")),
            ("counts", source.definition),
            ("cycle", f"{rfc3339(cycle.start_ms)} to {rfc3339(cycle.end_ms)}"),
            (
                "read",
                f"{result.pages} {'batches' if log else 'pages'}, {result.bytes} bytes in "
                f"{result.seconds:.2f} s",
            ),
            ("events read" if log else "users listed", result.users_listed),
            *(() if log else (("provisioned", result.provisioned),)),
            ("counted so far", result.counted),
            ("skipped", skipped or ("nothing" if log else "nobody")),
            ("clock", f"at most {result.clock_skew_ms / 1000:.1f} s apart"),
            ("complete", _complete(result, log=log)),
            ("at best", f"{best.accuracy}: {best.why}"),
            *((("note", result.hint),) if _says_more(result) else ()),
            *(("note", note) for note in result.notes),
        ]
    )
    for user_id in result.ids:
        typer.echo(f"  {user_id}")
    if result.failure is not None:
        typer.echo(f"error: {result.failure.reason}: {result.failure.message}", err=True)


def _says_more(result: PollResult) -> bool:
    incomplete = result.incomplete
    return result.hint is not None and (incomplete is None or result.hint != incomplete.message)


def _complete(result: PollResult, *, log: bool) -> str:
    if result.complete:
        what = (
            "everything that the stream still holds" if log else "who is not listed was not active"
        )
        return f"yes: {what}"
    if result.incomplete:
        return f"no, {result.incomplete.reason}: {result.incomplete.message}"
    return f"no, {result.failure.reason}" if result.failure else "no"
