"""``licenseusage version``."""

import os
import platform

import typer

from licenseusage import __version__
from licenseusage.cli.output import Output, OutputOption, print_json
from licenseusage.clock import clock_from

app = typer.Typer()


@app.command()
def version(output: OutputOption = Output.TABLE) -> None:
    """Print the version.

    Example:
        licenseusage version --output json
    """
    simulated = clock_from(os.environ).simulated
    if output is Output.JSON:
        print_json(
            {
                "version": __version__,
                "python": platform.python_version(),
                "simulatedClock": simulated,
            }
        )
        return
    typer.echo(__version__ + (" (simulated clock)" if simulated else ""))
