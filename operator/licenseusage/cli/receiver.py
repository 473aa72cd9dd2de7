"""``licenseusage receiver``: run the vendor's end of the protocol."""

import os
from pathlib import Path
from typing import Annotated

import typer

from licenseusage.clock import clock_from
from licenseusage.receiver.server import serve
from licenseusage.receiver.settings import Address, VendorFiles, access_for, certificate_for
from licenseusage.receiver.store import DatabaseAddress

app = typer.Typer(help="Run the vendor's receiver of reports.")

_ENV = "LICENSEUSAGE_RECEIVER_"


@app.command()
def receiver(
    *,
    keys: Annotated[
        Path,
        typer.Option(
            envvar=f"{_ENV}KEYS",
            metavar="DIR",
            help="Folder online/ of `licenseusage vendor keygen`: jwks.json says whose licences "
            "are accepted, receipt.jwk signs receipts. A folder with the licence key is refused.",
        ),
    ],
    address: Annotated[
        str,
        typer.Option(
            envvar=f"{_ENV}ADDRESS",
            metavar="HOST:PORT",
            help="Address to listen on. Without a certificate it must be a loopback address behind "
            "a TLS proxy, because senders use https only.",
        ),
    ] = "127.0.0.1:8443",
    database_url: Annotated[
        str | None,
        typer.Option(
            envvar=f"{_ENV}DATABASE_URL",
            metavar="URL",
            help="Database for documents: sqlite:///FILE (without it: receiver.sqlite in this "
            "folder), or postgresql://USER@HOST/DATABASE, which several receivers may share. It "
            "contains the reports of all customers: back it up.",
        ),
    ] = None,
    database_url_file: Annotated[
        Path | None,
        typer.Option(
            envvar=f"{_ENV}DATABASE_URL_FILE",
            metavar="FILE",
            help="File with the URL instead, such as the key `uri` of a mounted Secret. It is read "
            "again for each new connection, so that its password may change.",
        ),
    ] = None,
    database_password_file: Annotated[
        Path | None,
        typer.Option(
            envvar=f"{_ENV}DATABASE_PASSWORD_FILE",
            metavar="FILE",
            help="File with the database's password, if the URL has none; read again likewise.",
        ),
    ] = None,
    tls_cert: Annotated[
        Path | None,
        typer.Option(
            envvar=f"{_ENV}TLS_CERT", metavar="FILE", help="Certificate with its chain (PEM)."
        ),
    ] = None,
    tls_key: Annotated[
        Path | None,
        typer.Option(
            envvar=f"{_ENV}TLS_KEY", metavar="FILE", help="Private key of the certificate (PEM)."
        ),
    ] = None,
    pages_password_file: Annotated[
        Path | None,
        typer.Option(
            envvar=f"{_ENV}PAGES_PASSWORD_FILE",
            metavar="FILE",
            help="File with the password of the pages, for any user name. Without it the pages are "
            "closed; reports are accepted either way.",
        ),
    ] = None,
    open_pages: Annotated[
        bool,
        typer.Option(
            "--open-pages",
            envvar=f"{_ENV}OPEN_PAGES",
            help="Show the pages without a password, for a trial, on a loopback address only.",
        ),
    ] = False,
    hosts: Annotated[
        list[str] | None,
        typer.Option(
            "--host",
            envvar=f"{_ENV}HOSTS",
            metavar="NAME",
            help="Host name by which people open the pages behind a proxy. Repeatable (in the "
            "variable: separated by spaces). The names of loopback and of the certificate are "
            "always allowed; requests for other names are refused.",
        ),
    ] = None,
) -> None:
    """Receive signed reports, answer with signed receipts, and show what has arrived.

    Runs until SIGTERM or Ctrl-C. `/` shows installations and cycles, `/docs` the API, `/healthz`
    whether documents can be stored. Every option can also be given as an environment variable.

    Examples:
        licenseusage vendor keygen -o keys

        licenseusage receiver --keys keys/online --pages-password-file password
            --address 0.0.0.0:8443 --tls-cert c.pem --tls-key k.pem
    """
    clock = clock_from(os.environ)
    listening = Address.parse(address)
    serve(
        address=listening,
        database=DatabaseAddress.given(database_url, database_url_file, database_password_file),
        certificate=certificate_for(listening, tls_cert, tls_key),
        keys=VendorFiles.read(keys),
        access=access_for(
            listening,
            pages_password_file,
            open_pages=open_pages,
            hosts=hosts or (),
            certificate=tls_cert,
        ),
        clock=clock,
        started=lambda url: typer.echo(f"receiver: {url}/ (API: {url}/docs)"),
    )
