"""``licenseusage source check``: try a source against any address, without a cluster.

The same code polls as in the operator, in a worker process of its own. A person names the address
here, so any address may be asked, this machine's own too.
"""

import asyncio
import os
import secrets
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn
from urllib.parse import urlsplit

import typer

from licenseusage.cli.exits import NOT_OK, OK, UNDETERMINED
from licenseusage.cli.output import Output, OutputOption, print_json
from licenseusage.cli.source_capture import (
    RecordOption,
    ReplayOption,
    read_capture,
    recorded,
    refuse_beside_replay,
    refuse_to_overwrite,
    refuse_to_record,
    replayed,
)
from licenseusage.cli.source_file import SourceFile, read_source_file
from licenseusage.cli.source_new import new
from licenseusage.cli.source_result import facts_of, print_result
from licenseusage.cli.source_secrets import needed_credentials, secret_values
from licenseusage.cli.source_watch import (
    EveryOption,
    TimesOption,
    WatchOption,
    refuse_watching,
    watched,
)
from licenseusage.clock import SystemClock, clock_from
from licenseusage.controller.settings import Settings
from licenseusage.errors import Failure, Stalled
from licenseusage.metering.cycles import Cycle, Terms
from licenseusage.reasons import Reason
from licenseusage.sources.captures.file import Capture
from licenseusage.sources.definition.auth import OAuth2
from licenseusage.sources.definition.model import EffectiveSource
from licenseusage.sources.definition.place import SCHEMES, Pods
from licenseusage.sources.definition.presets import effective
from licenseusage.sources.poll import (
    CycleRequest,
    PollLimits,
    PollRequest,
    PollResult,
    Target,
)
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

_PORTS = {"HTTP": 80, "HTTPS": 443, "NATS": 4222, "REDIS": 6379}


def _limit(name: str) -> Any:  # noqa: ANN401 - typer's option
    """Return an option of the operator's setting of that name, with its range and words."""
    (setting,) = (setting for setting in fields(Settings) if setting.name == name)
    return typer.Option(
        min=setting.metadata["least"], max=setting.metadata["most"], help=setting.metadata["help"]
    )


app = typer.Typer(
    help="Begin a source definition, and try it against a product, without a cluster.",
    no_args_is_help=True,
)


@app.callback()
def source() -> None:
    """Begin a source definition, and try it against a product, without a cluster."""


app.command()(new)


@app.command()
def check(
    file: Annotated[
        str,
        typer.Argument(help="YAML file with a LicenseUsage or a source; - for standard input."),
    ],
    url: Annotated[
        str | None,
        typer.Option(
            help="Address of the product: https://host:port (the source has the path), or "
            "tls://host:port for an event log; http and nats are without TLS."
        ),
    ] = None,
    token_url: Annotated[
        str | None,
        typer.Option(
            help="Address of the server that issues access tokens, where auth.oauth2 names another "
            "one: https://host:port."
        ),
    ] = None,
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
        typer.Option(help="PEM file of the CA that signed the certificates of these servers."),
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
    record: RecordOption = None,
    replay: ReplayOption = None,
    watch: WatchOption = False,
    every: EveryOption = None,
    times: TimesOption = None,
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

    Of a list with times it shows on which days the users were active last, and the first users
    counted and skipped for each reason, as pseudonyms that are others in each run.

    --record writes the answers as a file that can be shared and kept as a test: ids are hashed, and
    members that the source does not read are left out. --replay polls such a file in
    place of the product, as of the time at which it was recorded.

    --watch polls several times. Of a list it shows who appeared, left, and whose last activity
    moved on or went back, as pseudonyms; of a number how it moved; of an event log how far it was
    read, how many events came, who appeared, and what was lost. A time that goes back, somebody
    who leaves although guarantees.removal is Never, and events that are lost between two polls are
    exit code 1.

    Nothing is stored otherwise, and nothing is sent except to the given address. Exit code 0: the
    poll succeeded. 1: the source or the answer is wrong, or cannot be recorded. 3: the product
    could not be reached, the capture cannot be used, or a file exists.

    Examples:
        licenseusage source check usage.yaml --url https://10.1.2.3:9200 --ca ca.crt
            --secret opencloud-meter/username=admin
            --secret-file opencloud-meter/password=-

        kubectl port-forward deploy/hub 8081 &
        licenseusage source check hub.yaml --url http://127.0.0.1:8081
            --secret-file hub-token/token=token.txt

        licenseusage source check hub.yaml --url http://127.0.0.1:8081
            --secret-file hub-token/token=token.txt --record hub.capture.json
        licenseusage source check hub.yaml --replay hub.capture.json --output json

        licenseusage source check hub.yaml --url http://127.0.0.1:8081
            --secret-file hub-token/token=token.txt --watch --every 30 --times 10

        POD=$(kubectl get pod -o name -l app.kubernetes.io/component=opencloud | head -n 1)
        kubectl port-forward "$POD" 9233 &
        licenseusage source check events.yaml --url nats://127.0.0.1:9233
    """
    if replay is not None:
        beside: dict[str, object] = {
            "--url": url,
            "--token-url": token_url,
            "--ca": ca,
            "--record": record,
        }
        beside |= {"--secret": secret, "--secret-file": secret_file}
        beside |= {"--cycle-start": cycle_start, "--closing": closing}
        refuse_beside_replay(beside)
    elif url is None:
        raise typer.BadParameter("give the product's address, or --replay", param_hint="--url")
    if record is not None:
        refuse_to_overwrite(record)
    read = read_source_file(file, name)
    values = secret_values(secret or [], secret_file or [])
    clock = clock_from(os.environ)
    capture = read_capture(replay) if replay is not None else None
    try:
        source = effective(read.source, read.shipped())
        read.refuse()
        _refuse_pushed(source)
        credentials = needed_credentials(source, values) if capture is None else None
        cycle = capture.cycle if capture else _cycle(read, cycle_start, cycle_days, clock)
        of_one_poll = {"--record": record, "--replay": replay, "--show-ids": show_ids}
        beside_one = next((option for option, value in of_one_poll.items() if value), None)
        refuse_watching(every=every, times=times, watch=watch, beside=beside_one)
        if record is not None:
            refuse_to_record(source)
    except Stalled as error:
        typer.echo(f"error: {error.reason}: {error.message}", err=True)
        raise typer.Exit(NOT_OK) from None
    targets = (_target("--url", url, ca, source.pods, read_by=source.read_by),) if url else ()
    request = PollRequest(
        source=source,
        targets=targets,
        issuers=() if capture else _issuers(token_url, ca, source),
        product=read.product,
        pseudonym_key=secrets.token_bytes(32),
        cycles=(CycleRequest(cycle, roster=source.window is not None),),
        credentials=credentials,
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
        watch=watch,
    )
    _run(_Check(request, clock, output, capture, record, every, times))


@dataclass(frozen=True, slots=True)
class _Check:
    """What is polled, and how it is shown."""

    request: PollRequest
    clock: SystemClock
    output: Output
    capture: Capture | None
    record: Path | None
    every: int | None
    times: int | None


def _run(check: _Check) -> None:
    """Poll and show; raises ``Exit`` with the command's exit code."""
    request, clock, output = check.request, check.clock, check.output
    if request.watch:
        seen = asyncio.run(
            watched(request, clock, every=check.every, times=check.times, output=output)
        )
        if seen.failure is not None:
            _exit_for(seen.failure)
        raise typer.Exit(NOT_OK if seen.denied else OK)
    refused = None
    if check.capture is not None:
        result = replayed(request, check.capture)
    elif check.record is not None:
        result, refused = recorded(request, clock, check.record)
    else:
        result = asyncio.run(_poll(request, clock))
    source, (cycle, *_) = request.source, [each.cycle for each in request.cycles]
    if output is Output.JSON:
        print_json(facts_of(source, cycle, result, show_ids=request.show_ids))
    else:
        print_result(source, cycle, result)
    if refused is not None:
        typer.echo(f"error: {refused.reason}: {refused.message}", err=True)
    if result.failure is not None:
        _exit_for(result.failure)
    if refused is not None:
        raise typer.Exit(NOT_OK)


def _exit_for(failure: Failure) -> NoReturn:
    raise typer.Exit(UNDETERMINED if failure.reason in _OUT_OF_REACH else NOT_OK)


async def _poll(request: PollRequest, clock: SystemClock) -> PollResult:
    async with Workers(1, clock=clock) as workers:
        return await workers.poll(request)


def _issuers(url: str | None, ca: Path | None, source: EffectiveSource) -> tuple[Target, ...]:
    elsewhere = isinstance(source.auth, OAuth2) and source.auth.elsewhere
    if elsewhere and url is None:
        raise typer.BadParameter(
            f"source {source.name} gets its tokens from another server: give its address",
            param_hint="--token-url",
        )
    if url is None or not isinstance(source.auth, OAuth2) or not elsewhere:
        return ()
    return (_target("--token-url", url, ca, source.auth.service, read_by="http"),)


def _target(option: str, url: str, ca: Path | None, pods: Pods | None, *, read_by: str) -> Target:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    fitting = SCHEMES[read_by]
    plain, secured = (scheme.lower() for scheme in fitting)
    if parts.scheme not in (plain, secured) or not parts.hostname or parts.username is not None:
        raise typer.BadParameter(
            f"give {plain}://host:port or {secured}://host:port", param_hint=option
        )
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise typer.BadParameter(
            "give scheme, host and port only; what to read there stands in the source",
            param_hint=option,
        )
    secure = parts.scheme == secured
    scheme = fitting[secure]
    try:
        pem = ca.read_text("utf-8") if ca else None
    except (OSError, UnicodeDecodeError):
        raise typer.BadParameter(f"{ca} cannot be read as a PEM file", param_hint="--ca") from None
    return Target(
        host=parts.hostname,
        port=port or _PORTS.get(scheme, _PORTS[fitting[0]]),
        scheme=scheme,
        ca_pem=pem if secure else None,
        server_name=pods.server_name if secure and pods else None,
        host_header=pods.host_header if pods else None,
    )


def _refuse_pushed(source: EffectiveSource) -> None:
    if source.pushed is not None:
        raise Stalled(
            Reason.INVALID_SOURCE,
            f"Source {source.name}: its product pushes, so that there is nothing to poll. See "
            "status.sources of the LicenseUsage, and docs/push.md.",
        )


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
