"""``licenseusage vendor …``: the keys that a vendor needs before the first licence."""

import os
from pathlib import Path
from typing import Annotated

import typer
import yaml

from licenseusage.errors import Stalled
from licenseusage.reasons import Reason
from licenseusage.reports.keys import SigningKey, VendorKey, VendorKeys, generate_key
from licenseusage.reports.typs import LICENSE, RECEIPT

ONLINE, OFFLINE = "online", "offline"
"""Folders of a vendor's keys: for the receiver and the customers, and for no server."""
LICENSE_KEY_FILE = "license.jwk"
RECEIPT_KEY_FILE = "receipt.jwk"
JWKS_FILE = "jwks.json"
CONFIGMAP_NAME = "licenseusage-vendor-keys"
CONFIGMAP_FILE = f"{CONFIGMAP_NAME}.yaml"

app = typer.Typer(help="Make the vendor's keys.", no_args_is_help=True)


@app.callback()
def vendor() -> None:
    """Make the vendor's keys."""


@app.command()
def keygen(
    output: Annotated[
        Path, typer.Option("--output-dir", "-o", metavar="DIR", help="Folder to write into.")
    ],
    namespace: Annotated[
        str, typer.Option(help="Namespace of the customer's operator, for the ConfigMap.")
    ] = "licenseusage-system",
) -> None:
    """Make the vendor's two private keys, and the public keys for customers.

    Writes two folders into DIR and never overwrites a file. Keep offline/ off every server:

        offline/license.jwk                   private: signs licences

    Copy online/ to the receiver:

        online/receipt.jwk                    private: signs receipts

        online/jwks.json                      public: both keys, and what each may sign

        online/licenseusage-vendor-keys.yaml  public: the same as a ConfigMap, for your manifests

    The receipt key cannot sign licences, so a thief of that key cannot issue any. The receiver
    refuses to start with a folder that contains the licence key.

    Example:
        licenseusage vendor keygen -o keys/
    """
    license_key, receipt_key = generate_key(), generate_key()
    published = VendorKeys(
        [
            VendorKey(license_key.public, frozenset({LICENSE})),
            VendorKey(receipt_key.public, frozenset({RECEIPT})),
        ]
    )
    private = {
        f"{OFFLINE}/{LICENSE_KEY_FILE}": license_key,
        f"{ONLINE}/{RECEIPT_KEY_FILE}": receipt_key,
    }
    public = {
        f"{ONLINE}/{JWKS_FILE}": published.to_jwks(),
        f"{ONLINE}/{CONFIGMAP_FILE}": configmap(published, namespace),
    }
    _refuse_to_overwrite(output, [*private, *public])
    try:
        for folder in (output, output / OFFLINE, output / ONLINE):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, key in private.items():
            _write_new(output / name, key.to_jwk() + "\n", 0o600)
        for name, text in public.items():
            _write_new(output / name, text, 0o644)
    except OSError as error:
        raise Stalled(Reason.NOT_WRITABLE, f"{error.filename}: {error.strerror}") from None
    for name in (*private, *public):
        typer.echo(output / name)


def configmap(published: VendorKeys, namespace: str) -> str:
    """Return the ConfigMap that pins a vendor's keys, as YAML."""
    manifest = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": CONFIGMAP_NAME, "namespace": namespace},
    }
    # Written out, since YAML's writer would fold the JSON into one quoted line.
    indented = "".join(f"    {line}\n" for line in published.to_jwks().splitlines())
    return f"{yaml.safe_dump(manifest, sort_keys=False)}data:\n  {JWKS_FILE}: |\n{indented}"


def license_key_in(folder: Path) -> Path:
    """Return the licence key of a folder that ``vendor keygen`` made, or of its ``offline``."""
    own = folder / LICENSE_KEY_FILE
    return own if own.exists() else folder / OFFLINE / LICENSE_KEY_FILE


def read_private_key(path: Path) -> SigningKey:
    """Return a private key file.

    Raises:
        Stalled: ``Unreadable``.
        Refused: ``KeyInvalid``.
    """
    try:
        return SigningKey.from_jwk(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not text"
        raise Stalled(Reason.FILE_UNREADABLE, f"{path}: {reason}") from None


def _refuse_to_overwrite(folder: Path, names: list[str]) -> None:
    there = [name for name in names if (folder / name).exists()]
    if there:
        raise Stalled(
            Reason.FILE_EXISTS,
            f"{folder} holds {', '.join(there)} already, and keys are never overwritten: whoever "
            f"pinned them could verify nothing any more. Name another folder.",
        )


def _write_new(path: Path, text: str, mode: int) -> None:
    # O_EXCL: not even a race or a symbolic link makes us write over something.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        os.fchmod(descriptor, mode)  # whatever the umask
        file.write(text)
