"""``licenseusage preset …``: list and show presets."""

from typing import Annotated, Any, Final

import msgspec
import typer
import yaml

from licenseusage.cli.exits import USAGE
from licenseusage.cli.output import Output, OutputOption, print_fields, print_json, print_table
from licenseusage.sources.definition.presetfile import Preset, Way
from licenseusage.sources.definition.presets import presets

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

    docs/presets.md says the same of all presets, with the source of each declared property.

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
            ("counts", preset.definition),
            ("permission", preset.permission),
            ("verified", f"{preset.verified}, version {preset.version}"),
            ("not verified", "; ".join(preset.unverified) or "-"),
        ]
    )
    for heading, sentences in (
        ("Counts", preset.counts),
        ("Does not count", preset.counts_not),
        ("Must be true before", preset.preconditions),
        ("What breaks it", preset.breaks),
    ):
        _listed(heading, sentences)
    typer.echo("\nNot people, and why they do not count:")
    for exclusion in preset.not_people:
        typer.echo(f"\n- {exclusion.who}. {_WAYS[exclusion.by]}: {exclusion.how}")
    typer.echo("\n" + yaml.safe_dump(preset.source, sort_keys=False, allow_unicode=True), nl=False)


def _listed(heading: str, sentences: tuple[str, ...]) -> None:
    if sentences:
        typer.echo(f"\n{heading}:")
    for sentence in sentences:
        typer.echo(f"\n- {sentence}")


def _facts(preset: Preset) -> dict[str, Any]:
    """Return all that a preset's file says but the source, by the names of the file."""
    fields: dict[str, Any] = msgspec.to_builtins(preset)
    return {"activityDefinition": preset.definition} | {
        name: value for name, value in fields.items() if name != "source"
    }
