"""``licenseusage crds``: print or write the CustomResourceDefinitions."""

from pathlib import Path
from typing import Annotated

import typer

from licenseusage.api import crd

app = typer.Typer()

YAML = "yaml"


@app.command()
def crds(
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            metavar="yaml|DIR",
            help="'yaml' prints all of them; any other value is a folder to write them into.",
        ),
    ] = YAML,
) -> None:
    """Print the CustomResourceDefinitions, or write them into a folder with a kustomization.

    Examples:
        licenseusage crds | kubectl apply -f -

        licenseusage crds --output crds
    """
    if output == YAML:
        typer.echo(crd.manifest(), nl=False)
        return
    folder = Path(output)
    if folder.exists() and not folder.is_dir():
        raise typer.BadParameter(f"{output} is a file; name a folder, or 'yaml'.")
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in crd.files().items():
        (folder / name).write_text(text, encoding="utf-8")
        typer.echo(folder / name)
