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
    entries = presets().values()
    if output is Output.JSON:
        print_json([_facts(preset) for preset in entries])
        return
    print_table(
        ("NAME", "VERIFIED", "VERSION", "READS"),
        [(preset.name, preset.verified, preset.version, preset.title) for preset in entries],
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
    preset = presets().get(name)
    if preset is None:
        typer.echo(f"error: there is no preset {name}; there are {', '.join(presets())}", err=True)
        raise typer.Exit(USAGE)
    if output is Output.JSON:
        print_json(_facts(preset) | {"source": preset.source})
        return
    print_fields(
        [
            ("name", preset.name),
            ("reads", preset.title),
            ("counts", preset.source["activityDefinition"]),
            ("verified", f"{preset.verified}, version {preset.version}"),
            ("not verified", "; ".join(preset.unverified) or "-"),
        ]
    )
    for note in preset.notes:
        typer.echo(f"\n- {note}")
    typer.echo("\nNot people, and why they do not count:")
    for exclusion in preset.not_people:
        typer.echo(f"\n- {exclusion.who}. {_WAYS[exclusion.by]}: {exclusion.how}")
    typer.echo("\n" + yaml.safe_dump(preset.source, sort_keys=False, allow_unicode=True), nl=False)


def _facts(preset: Preset) -> dict[str, Any]:
    return {
        "name": preset.name,
        "reads": preset.title,
        "activityDefinition": preset.source["activityDefinition"],
        "verified": preset.verified,
        "version": preset.version,
        "unverified": list(preset.unverified),
        "notes": list(preset.notes),
        "notPeople": [asdict(exclusion) for exclusion in preset.not_people],
    }
