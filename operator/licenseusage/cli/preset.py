"""``licenseusage preset …``: list and show presets."""

from dataclasses import asdict
from typing import Annotated, Any, Final

import typer
import yaml

from licenseusage.cli.exits import USAGE
from licenseusage.cli.output import Output, OutputOption, print_fields, print_json, print_table
from licenseusage.sources.definition.presets import Preset, Way, presets

app = typer.Typer(help="List and show the presets of known products.", no_args_is_help=True)


_WAYS: Final[dict[Way, str]] = {
    "Product": "The product does not list them",
    "Types": "Their events are not read",
    "Exclude": "The preset excludes them",
    "You": "You must exclude them",
}


@app.callback()
def preset() -> None:
    """List and show the presets of known products."""


@app.command("list")
def list_presets(output: OutputOption = Output.TABLE) -> None:
    """List the presets and how far each was verified.

    VERIFIED is Live (on a running instance), Source (read in the product's code) or Documentation.

    Example:
        licenseusage preset list
    """
    found = presets().values()
    if output is Output.JSON:
        print_json([_facts(one) for one in found])
        return
    print_table(
        ("NAME", "VERIFIED", "VERSION", "READS"),
        [(one.name, one.verified, one.version, one.title) for one in found],
    )


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="Name of the preset, as in `preset list`.")],
    output: OutputOption = Output.TABLE,
) -> None:
    """Show a preset: what it counts, what you must know before you use it, and its definition.

    Example:
        licenseusage preset show OpenCloud
    """
    found = presets().get(name)
    if found is None:
        typer.echo(f"error: there is no preset {name}; there are {', '.join(presets())}", err=True)
        raise typer.Exit(USAGE)
    if output is Output.JSON:
        print_json(_facts(found) | {"source": found.source})
        return
    print_fields(
        [
            ("name", found.name),
            ("reads", found.title),
            ("counts", found.source["activityDefinition"]),
            ("verified", f"{found.verified}, version {found.version}"),
            ("not verified", "; ".join(found.unverified) or "-"),
        ]
    )
    for note in found.notes:
        typer.echo(f"\n- {note}")
    typer.echo("\nNot people, and why they do not count:")
    for one in found.not_people:
        typer.echo(f"\n- {one.who}. {_WAYS[one.by]}: {one.how}")
    typer.echo("\n" + yaml.safe_dump(found.source, sort_keys=False, allow_unicode=True), nl=False)


def _facts(preset: Preset) -> dict[str, Any]:
    return {
        "name": preset.name,
        "reads": preset.title,
        "activityDefinition": preset.source["activityDefinition"],
        "verified": preset.verified,
        "version": preset.version,
        "unverified": list(preset.unverified),
        "notes": list(preset.notes),
        "notPeople": [asdict(one) for one in preset.not_people],
    }
