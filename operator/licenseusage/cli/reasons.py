"""``licenseusage reasons``: what the reasons of conditions, reports and errors mean."""

from typing import Annotated

import typer

from licenseusage.reasons import Reason
from licenseusage.reasons.page import markdown, paragraph

app = typer.Typer()


@app.command()
def reasons(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[REASON]...", help="Reasons to explain; none prints the page."),
    ] = None,
) -> None:
    """Explain the reasons that conditions, reports and errors give, and say what to do.

    Examples:
        licenseusage reasons NoReadyPods

        licenseusage reasons > docs/reasons.md
    """
    if not words:
        typer.echo(markdown(), nl=False)
        return
    typer.echo("\n".join(paragraph(_known(word)) for word in words), nl=False)


def _known(word: str) -> Reason:
    for reason in Reason:
        if reason.lower() == word.lower():
            return reason
    raise typer.BadParameter(f"there is no reason {word}; without one, all are printed.")
