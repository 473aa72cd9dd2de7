"""``licenseusage operator``: run the operator, in a pod or on a desk."""

import asyncio
import gc
import os
import sys
from dataclasses import fields
from inspect import Parameter, Signature
from typing import Annotated

import structlog
import typer

from licenseusage.clock import clock_from, development
from licenseusage.controller.process.logs import configure
from licenseusage.controller.settings import PREFIX, Settings, from_mapping
from licenseusage.errors import UNEXPECTED_FIX, UsageError, unexpected

app = typer.Typer(help="Run the operator.")


def operator(**flags: str | None) -> None:
    """Count the active users of every LicenseUsage in a cluster, and report them.

    Runs until SIGTERM or Ctrl-C. Every option can also be given as an environment variable. In a
    pod it uses the pod's service account, elsewhere KUBECONFIG.

    Example, on your own machine, for the cluster of the current KUBECONFIG::

        licenseusage operator --database-url sqlite:///./ledger.sqlite --http-address 127.0.0.1:8080
    """
    settings = from_mapping(os.environ, flags)
    clock = clock_from(os.environ)
    configure(settings.log_level)
    # kopf imports the official client where one is installed, for its types: seconds of start for
    # something that is never called here.
    sys.modules.setdefault("kubernetes", None)  # type: ignore[arg-type]
    try:
        # What is imported stays for ever. To look through it again and again takes a sixth of the
        # time of the imports, and later holds up the event loop for a tenth of a second each time.
        gc.disable()
        from licenseusage.controller.process.start import run

        gc.collect()
        gc.freeze()
        gc.enable()
        code = asyncio.run(run(settings, clock, development=development(os.environ)))
    except UsageError:
        raise  # it has a fix of its own
    except Exception as error:
        # A pod that does not start has nothing but its log, and nobody can ask it again.
        structlog.get_logger(__name__).exception("the operator failed", fix=UNEXPECTED_FIX)
        raise unexpected(error) from None
    raise typer.Exit(code)


def _parameters() -> list[Parameter]:
    """One option per setting, so that flags, variables and their help never drift apart."""
    return [
        Parameter(
            f.name,
            Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[
                str | None,
                typer.Option(
                    f"--{f.name.replace('_', '-')}",
                    help=f"{f.metadata['help']} [env: {PREFIX}{f.name.upper()}]{_shown(f.default)}",
                    show_default=False,
                ),
            ],
        )
        for f in fields(Settings)
    ]


def _shown(default: object) -> str:
    return "" if default in ((), "") else f" [default: {default}]"


operator.__signature__ = Signature(_parameters())  # type: ignore[attr-defined]
app.command()(operator)
