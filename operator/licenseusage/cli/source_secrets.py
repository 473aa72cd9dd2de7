"""The Secrets that a source needs, given as options in place of a cluster's."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import typer

from licenseusage.sources.definition.model import EffectiveSource
from licenseusage.sources.poll import (
    CERTIFICATE_KEYS,
    Credentials,
    certificate,
    credentials,
    keys_of,
)


def secret_values(values: list[str], files: list[str]) -> dict[str, dict[str, bytes]]:
    """Return Secret name -> key -> value.

    Args:
        values: Options ``--secret``.
        files: Options ``--secret-file``.

    Raises:
        BadParameter: One of them is not written as it has to be, or a file cannot be read.
    """
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


def needed_credentials(
    source: EffectiveSource, values: Mapping[str, Mapping[str, bytes]]
) -> Credentials | None:
    """Return what a source authenticates with.

    Args:
        source: Whose credentials are needed.
        values: Secret name -> key -> value.

    Raises:
        BadParameter: A value is missing; with the options to give.
        Stalled: A value cannot be sent.
    """
    made = None
    if source.auth is not None:
        given = _needed(source, values, source.auth.secret_name, keys_of(source.auth))
        made = credentials(source.auth, given, f"Secret {source.auth.secret_name}")
    if source.client_certificate is not None:
        given = _needed(source, values, source.client_certificate, CERTIFICATE_KEYS)
        own = certificate(given, f"Secret {source.client_certificate}")
        made = replace(made or Credentials(), certificate=own)
    return made


def _needed(
    source: EffectiveSource,
    values: Mapping[str, Mapping[str, bytes]],
    name: str,
    keys: Sequence[str],
) -> Mapping[str, bytes]:
    missing = [key for key in keys if key not in values.get(name, {})]
    if missing:
        wanted = " and ".join(f"--secret {name}/{key}=VALUE" for key in missing)
        raise typer.BadParameter(
            f"source {source.name} needs {wanted} (or --secret-file)", param_hint="--secret"
        )
    return values.get(name, {})
