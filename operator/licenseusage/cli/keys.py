"""``licenseusage keys …``: the operator's keys, from the first start to their loss.

The operator makes its two keys on a first start and never again. Whatever else becomes of them is
an administrator's decision, and these are the commands for it.
"""

import base64
import re
import secrets
from typing import Annotated

import typer
import yaml

from licenseusage.cli.documents import read_documents
from licenseusage.cli.keycopies import export, import_
from licenseusage.cli.keyrotate import rotate
from licenseusage.cli.keystatus import status
from licenseusage.errors import Stalled
from licenseusage.metering.pseudonym import KEY_BYTES, key_id
from licenseusage.reasons import Reason
from licenseusage.reports.keys import generate_key
from licenseusage.reports.receipt import Sent

app = typer.Typer(
    help="Show, rotate, export and import the operator's keys; replace a lost one.",
    no_args_is_help=True,
)
new = typer.Typer(help="Print the Secret of a new key, which names the key that it replaces.")
app.add_typer(new, name="new", no_args_is_help=True)

Namespace = Annotated[str, typer.Option(help="Namespace of the operator.")]
Name = Annotated[str, typer.Option(help="Name of the Secret, as in the operator's settings.")]


@app.callback()
def keys() -> None:
    """Show, rotate, export and import the operator's keys; replace a lost one."""


app.command(name="status")(status)
app.command(name="rotate")(rotate)
app.command(name="export")(export)
app.command(name="import")(import_)


@new.callback()
def new_() -> None:
    """Print the Secret of a new key, which names the key that it replaces."""


@new.command()
def identity(
    replaces: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Reports of the installation that is replaced; - is stdin."
        ),
    ] = None,
    namespace: Namespace = "licenseusage-system",
    name: Name = "licenseusage-identity",
) -> None:
    """Print the Secret of a new installation, if the identity is lost permanently.

    The vendor sees a new installation. With --replaces, its enrolment names the installation that
    it replaces. Tell the vendor first, because a contract counts installations. Counting goes on.
    Reports begin a new chain; reports of the old chain stay as they are. Omit --replaces if no
    installation ends: for a copy of a cluster whose original keeps running.

    Example:
        kubectl get usagereports -A -o yaml | licenseusage keys new identity --replaces - |
            kubectl create -f -
    """
    data: dict[str, str | bytes] = {"private.jwk": generate_key().to_jwk()}
    if replaces is not None:
        data["replaces"] = _installation_of(replaces)
    typer.echo(_manifest(namespace, name, data), nl=False)


@new.command()
def pseudonym(
    replaces: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Id of the lost key, as the condition names it."),
    ] = None,
    namespace: Namespace = "licenseusage-system",
    name: Name = "licenseusage-pseudonym",
) -> None:
    """Print the Secret of a new pseudonym key, if the old key is lost permanently.

    Users of the running cycle who were counted under the lost key can no longer be recognised. So
    the numbers under the two keys are never added: the larger one is the lower bound of this cycle,
    and there is no upper bound. The reports say that the key changed. Omit --replaces if no
    condition names an id, because nobody was counted under the lost key.

    Example:
        licenseusage keys new pseudonym --replaces 0123456789abcdef0123456789abcdef |
            kubectl create -f -
    """
    if replaces is not None and not re.fullmatch("[0-9a-f]{32}", replaces):
        raise typer.BadParameter("an id has 32 hex digits; the condition PseudonymKeyLost names it")
    key = secrets.token_bytes(KEY_BYTES)
    data: dict[str, str | bytes] = {"key": key}
    if replaces is not None:
        data["replaces"] = replaces
    typer.echo(_manifest(namespace, name, data), nl=False)
    typer.echo(f"the new key's id is {key_id(key)}", err=True)


def _installation_of(path: str) -> str:
    """Return the one installation that reports are of.

    Raises:
        Stalled: ``Ambiguous``: they are of several.
    """
    installations = sorted(
        {Sent.from_token(document.token).installation for document in read_documents(path)}
    )
    if len(installations) > 1:
        raise Stalled(
            Reason.AMBIGUOUS,
            f"{path} holds reports of {len(installations)} installations: "
            f"{', '.join(installations)}. Give those of the lost one only (the newest).",
        )
    return installations[0]


def _manifest(namespace: str, name: str, data: dict[str, str | bytes]) -> str:
    encoded = {
        member: base64.b64encode(value if isinstance(value, bytes) else value.encode()).decode()
        for member, value in data.items()
    }
    manifest = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace},
        "type": "Opaque",
        "data": encoded,
    }
    return yaml.safe_dump(manifest, sort_keys=False, width=2**20)
