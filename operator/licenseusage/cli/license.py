"""``licenseusage license …``: issue (vendor), show and verify (either side)."""

import os
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Annotated

import typer
import yaml

from licenseusage.cli.documents import LICENSE_MEMBER, read_license_file, read_vendor_keys
from licenseusage.cli.exits import NOT_OK
from licenseusage.cli.output import Output, OutputOption, print_fields, print_json
from licenseusage.cli.times import parse_day, parse_time, show_time
from licenseusage.cli.vendor import license_key_in, read_private_key
from licenseusage.clock import clock_from
from licenseusage.errors import UsageError
from licenseusage.reports.intake import Expected, accept_license, unpacked
from licenseusage.reports.licence import (
    LONGEST_DAYS,
    LONGEST_MONTHS,
    License,
    LicenseTerms,
    Subscription,
    build_license,
    read_license,
)
from licenseusage.reports.refused import Refused
from licenseusage.reports.terms import CycleTerms
from licenseusage.reports.tokens import decode
from licenseusage.reports.typs import DAY_SECONDS

_DEFAULT_CYCLE_DAYS = 30
_OPTIONS = {
    "iss": "--vendor",
    "sub": "--subscription",
    "jti": "--id",
    "product": "--product",
    "maximumActiveUsers": "--maximum-active-users",
    "purpose": "--purpose",
    "cycle.anchorDate": "--anchor-date",
    "cycle.lengthDays": "--length-days",
    "cycle.lengthMonths": "--length-months",
    "reporting.endpoint": "--endpoint",
    "reporting.intervalHours": "--interval-hours",
    "reporting.interim": "--interim",
    "reporting.exportDays": "--export-days",
    "cnf.jkt": "--first-key",
    "nbf": "--not-before",
    "exp": "--expires",
}
"""Claim -> the option that it is made of."""
_DEFAULT_VALIDITY_DAYS = 366

app = typer.Typer(help="Issue, show and verify licences.", no_args_is_help=True)

LicenseFile = Annotated[
    str, typer.Argument(metavar="FILE", help="Token, or the Secret that contains it; - is stdin.")
]


@app.callback()
def license_() -> None:
    """Issue, show and verify licences."""


@app.command()
def issue(
    *,
    vendor: Annotated[
        str, typer.Option(help="Your name (iss). Reports are addressed to it. Never change it.")
    ],
    subscription: Annotated[
        str,
        typer.Option(help="The customer's contract (sub). Other cycles need another contract."),
    ],
    product: Annotated[str, typer.Option(help="The product, as in LicenseUsage spec.product.")],
    keys: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder made by `vendor keygen`.")
    ] = None,
    key: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The private licence key itself.")
    ] = None,
    license_id: Annotated[
        str | None, typer.Option("--id", help="Id of this document (jti). [default: generated]")
    ] = None,
    maximum_active_users: Annotated[
        int | None, typer.Option(help="Contracted maximum. [default: none]")
    ] = None,
    purpose: Annotated[
        str, typer.Option(help="Production, NonProduction or Standby.")
    ] = "Production",
    anchor_date: Annotated[
        str | None,
        typer.Option(
            metavar="YYYY-MM-DD", help="First day of the first cycle. [default: today, UTC]"
        ),
    ] = None,
    length_days: Annotated[
        int | None, typer.Option(help="Days per cycle, 1-62. [default: 30]")
    ] = None,
    length_months: Annotated[
        int | None,
        typer.Option(help="Instead: months per cycle, 1-2; the anchor day must be 1-28."),
    ] = None,
    endpoint: Annotated[
        str | None,
        typer.Option(metavar="URL", help="https address for reports. [default: offline only]"),
    ] = None,
    interval_hours: Annotated[int, typer.Option(help="Hours between interim reports.")] = 24,
    reporting_required: Annotated[
        bool, typer.Option(help="Whether the contract requires reports.")
    ] = True,
    interim: Annotated[
        str, typer.Option(help="Interim reports: Required, or Optional (finals are enough).")
    ] = "Required",
    export_days: Annotated[
        int | None, typer.Option(help="Agreed days between exports, for offline use.")
    ] = None,
    first_key: Annotated[
        str | None,
        typer.Option(metavar="THUMBPRINT", help="Only this installation's key may enrol."),
    ] = None,
    not_before: Annotated[
        str | None, typer.Option(metavar="TIME", help="Start. [default: now]")
    ] = None,
    expires: Annotated[
        str | None, typer.Option(metavar="TIME", help="End. [default: 366 days after the start]")
    ] = None,
    secret: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Print the manifest of a Secret with this name instead."),
    ] = None,
    namespace: Annotated[
        str | None, typer.Option(help="Namespace of that Secret (that of the LicenseUsage).")
    ] = None,
) -> None:
    """Sign a licence and print it: the token, or a Secret with --secret.

    Example:
        licenseusage license issue --keys keys/ --vendor https://vendor.example
            --subscription sub-4711 --product opencloud --maximum-active-users 500
            --anchor-date 2026-01-01 --endpoint https://usage.vendor.example
            --secret opencloud-license --namespace opencloud | kubectl apply -f -
    """
    if (keys is None) == (key is None):
        raise typer.BadParameter("give one of --keys DIR and --key FILE")
    if length_days is not None and length_months is not None:
        raise typer.BadParameter("give one of --length-days and --length-months")
    if (length_days or 0) > LONGEST_DAYS or (length_months or 0) > LONGEST_MONTHS:
        raise typer.BadParameter(
            f"no operator takes cycles of more than {LONGEST_DAYS} days or {LONGEST_MONTHS} months"
        )
    if (secret is None) != (namespace is None):
        raise typer.BadParameter("--secret and --namespace belong together")
    signing_key = read_private_key(key or license_key_in(Path(str(keys))))
    now_s = clock_from(os.environ).now_ms() // 1000
    start_s = parse_time(not_before) if not_before else now_s
    try:
        terms = LicenseTerms(
            vendor=vendor,
            subscription=subscription,
            license_id=license_id or f"lic-{now_s}",
            issued_at_s=now_s,
            not_before_s=start_s,
            expires_s=parse_time(expires)
            if expires
            else start_s + _DEFAULT_VALIDITY_DAYS * DAY_SECONDS,
            product=product,
            cycle=CycleTerms(
                parse_day(anchor_date) if anchor_date else _day_of(now_s),
                _DEFAULT_CYCLE_DAYS if length_days is length_months is None else length_days,
                length_months,
            ),
            interval_hours=interval_hours,
            reporting_required=reporting_required,
            maximum_active_users=maximum_active_users,
            endpoint=endpoint.rstrip("/") if endpoint else None,
            interim=interim,
            export_days=export_days,
            first_key=first_key,
            purpose=purpose,
        )
        token = build_license(terms, signing_key)
    except Refused as refusal:
        raise typer.BadParameter(f"this is no licence: {_named(refusal.message)}") from None
    if endpoint is None:
        typer.echo(
            "warning: without --endpoint this licence is for use off line only: reports are made "
            "and kept, and none reaches you by itself",
            err=True,
        )
    typer.echo(_manifest(token, secret, str(namespace)) if secret else token, nl=not secret)


@app.command()
def show(file: LicenseFile, output: OutputOption = Output.TABLE) -> None:
    """Show the contents of a licence. Its signature is not verified; see `license verify`.

    Examples:
        licenseusage license show license.jwt

        kubectl get secret opencloud-license -o yaml | licenseusage license show -
    """
    _header, claims = decode(unpacked(read_license_file(file)))
    if output is Output.JSON:
        print_json(claims)
        return
    print_fields(_flat(claims))
    typer.echo("(not verified)", err=True)


@app.command()
def verify(
    file: LicenseFile,
    vendor_keys: Annotated[
        str,
        typer.Option(
            metavar="FILE",
            help="The vendor's jwks.json, or the ConfigMap licenseusage-vendor-keys.",
        ),
    ],
    product: Annotated[
        str | None, typer.Option(help="The product that the licence must name.")
    ] = None,
    installation: Annotated[
        str | None, typer.Option(help="The installation id that the licence must allow.")
    ] = None,
    renews: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="The previous licence: the same subscription must keep its cycles."
        ),
    ] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Verify a licence: signature, dates, terms, and whether this operator can meter its cycles.

    Exit code 0: valid. 1: not valid. 3: a file could not be read.

    Example:
        licenseusage license verify license.jwt --vendor-keys jwks.json --product opencloud
    """
    keys = read_vendor_keys(vendor_keys)
    raw = read_license_file(file)
    try:
        before = read_license(unpacked(read_license_file(renews)), keys) if renews else None
        asked = Expected(
            now_s=clock_from(os.environ).now_ms() // 1000,
            keys_from=vendor_keys,
            product=product,
            product_from="--product",
            installation=installation,
            previous=Subscription(before.subscription, before.cycle) if before else None,
        )
        license_, _terms = accept_license(raw, keys, asked)
    except UsageError as error:
        if output is Output.JSON:
            print_json({"valid": False, "error": error.reason, "message": error.message})
        else:
            typer.echo(f"NOT VALID  {error.reason}: {error.message}")
        raise typer.Exit(NOT_OK) from None
    if output is Output.JSON:
        print_json({"valid": True, "license": _json(license_)})
        return
    print_fields(_fields(license_))
    typer.echo("VALID")


def _named(message: str) -> str:
    """Name the option beside the claim that it becomes."""
    for claim, option in _OPTIONS.items():
        message = message.replace(f"({claim}", f"({option}, {claim}")
    return message


def _fields(license_: License) -> list[tuple[str, object]]:
    cycle = license_.cycle
    length = f"{cycle.length_days} days" if cycle.length_days else f"{cycle.length_months} months"
    return [
        ("vendor", license_.vendor),
        ("subscription", license_.subscription),
        ("licence", license_.license_id),
        ("product", license_.product),
        ("purpose", license_.purpose),
        ("maximum active users", license_.maximum_active_users),
        ("cycle", f"{length} from {cycle.anchor.isoformat()}"),
        ("valid", f"{show_time(license_.not_before_s)} to {show_time(license_.expires_s)}"),
        ("endpoint", license_.endpoint or "none: off line only"),
        ("interim reports", f"every {license_.interval_hours} h, {license_.interim}"),
    ]


def _json(license_: License) -> dict[str, object]:
    return {
        name: {**value, "anchor": license_.cycle.anchor.isoformat()} if name == "cycle" else value
        for name, value in asdict(license_).items()
        if name != "token"
    }


def _flat(claims: object, path: str = "") -> list[tuple[str, object]]:
    if not isinstance(claims, dict):
        is_time = path in ("iat", "nbf", "exp") and isinstance(claims, int)
        return [(path, show_time(claims) if is_time and isinstance(claims, int) else claims)]
    return [
        row
        for name, value in claims.items()
        for row in _flat(value, f"{path}.{name}" if path else str(name))
    ]


def _manifest(token: str, name: str, namespace: str) -> str:
    manifest = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace},
        "type": "Opaque",
        "stringData": {LICENSE_MEMBER: token},
    }
    return yaml.safe_dump(manifest, sort_keys=False, width=2**20)


def _day_of(seconds: int) -> date:
    return date.fromisoformat(show_time(seconds)[:10])
