"""A passphrase: from a person who types it, a file or standard input; never from an argument.

Arguments are seen by every user of a machine, and stay in the shell's history.
"""

import sys
from typing import Annotated

import typer

from licenseusage.cli.documents import read_text
from licenseusage.errors import Stalled
from licenseusage.reasons import Reason

PassphraseFile = Annotated[
    str | None,
    typer.Option(
        "--passphrase-file",
        metavar="FILE",
        help="File whose first line is the passphrase; - is stdin. Without it, it is asked for.",
    ),
]


def passphrase(file: str | None, *, again: bool) -> str:
    """Return the passphrase.

    Args:
        file: Its file; "-" for standard input; None: ask at the terminal.
        again: Have it typed twice.

    Raises:
        Stalled: ``PassphraseUnusable``: there is nobody to ask, or the file is empty;
            ``Unreadable``.
    """
    if file is not None:
        first = read_text(file).split("\n", 1)[0].rstrip("\r")
        if not first:
            raise Stalled(Reason.PASSPHRASE_UNUSABLE, f"The first line of {_named(file)} is empty.")
        return first
    if not sys.stdin.isatty():
        raise Stalled(
            Reason.PASSPHRASE_UNUSABLE,
            "There is no terminal to ask for the passphrase: give --passphrase-file FILE, or - for "
            "standard input. It is never taken from an argument.",
        )
    typed: str = typer.prompt("Passphrase", hide_input=True, confirmation_prompt=again, err=True)
    return typed


def _named(file: str) -> str:
    return "standard input" if file == "-" else file
