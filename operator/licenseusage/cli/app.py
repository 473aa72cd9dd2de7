"""The root of the command line; groups are loaded when they are used, so that it answers at once.

A group is a module ``licenseusage.cli.<name>`` with ``app = typer.Typer(…)``.
"""

import os
import sys
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from licenseusage.cli.exits import UNDETERMINED
from licenseusage.cli.home import have_a_home
from licenseusage.errors import UsageError
from licenseusage.reasons import Reason

DEBUG = "LICENSEUSAGE_DEBUG"
"""Set to 1 to see the traceback of an unexpected error."""


@dataclass(frozen=True, slots=True)
class Group:
    """A command of the root, not loaded yet.

    Attributes:
        summary: One line for ``--help``.
        extra: The package's extra that it needs, if any.
    """

    summary: str
    extra: str | None = None


GROUPS = {
    "operator": Group("Run the operator."),
    "doctor": Group("Check an installation, and print what to mend."),
    "receiver": Group("Run the vendor's receiver of reports.", extra="receiver"),
    "crds": Group("Print the CustomResourceDefinitions."),
    "preset": Group("List and show the presets of known products."),
    "source": Group("Begin a source definition, and try it against a product, without a cluster."),
    "license": Group("Issue, show and verify licences."),
    "vendor": Group("Make the vendor's keys."),
    "keys": Group("Show, rotate, export and import the operator's keys; replace a lost one."),
    "report": Group("Show, verify and export signed usage reports."),
    "approve": Group("Approve reports that wait to be sent or exported."),
    "bundle": Group("Show and verify bundles, for clusters without a network route."),
    "statement": Group("Write a statement of active users, for people and to file."),
    "explain": Group("Say whether one person was counted, and on which days; for the customer."),
    "erase": Group("Erase what the ledger keeps about one person; the count stays."),
    "history": Group("List the billing cycles that were reported."),
    "ledger": Group("Check, back up, restore and merge ledgers."),
    "reasons": Group("Explain the reasons of conditions, reports and errors."),
    "version": Group("Print the version."),
}


class LazyGroup(TyperGroup):
    """The root group; lists its commands without importing them."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ANN401 - typer's vendored Context
        """Return the names, in the order of a first day."""
        return list(GROUPS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ANN401 - see above
        """Return a name and a line, which is all that ``--help`` and completion need."""
        group = GROUPS.get(cmd_name)
        return group and TyperCommand(cmd_name, short_help=group.summary, help=group.summary)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:  # noqa: ANN401 - see above
        """Return the real command that is about to run."""
        name, command, rest = super().resolve_command(ctx, args)
        return (name, load(name), rest) if name in GROUPS and command else (name, command, rest)


app = typer.Typer(
    name="licenseusage",
    cls=LazyGroup,
    help="Count the people who used a product in a billing cycle, and send signed reports.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def root() -> None:
    """Hold the groups together; typer wants a function."""


def load(name: str) -> Any:  # noqa: ANN401 - a command of typer's vendored click
    """Import a group and return its command.

    Raises:
        SystemExit: the group needs an extra that is not installed.
    """
    try:
        module = import_module(f"licenseusage.cli.{name}")
    except ModuleNotFoundError as error:
        extra = GROUPS[name].extra
        if extra is None or (error.name or "").startswith("licenseusage"):
            raise
        _fail(
            Reason.NOT_INSTALLED,
            f"This command needs {error.name}: pip install licenseusage[{extra}]",
        )
    group: typer.Typer = module.app
    group.rich_markup_mode = None
    group._add_completion = False
    command = get_command(group)
    command.name = name
    _keep_examples(command)
    return command


def program_name(argv0: str) -> str:
    """Return the name to show in usage lines: kubectl shows its plug-ins as sub-commands."""
    name = Path(argv0).name
    if name == "kubectl-licenseusage":
        return "kubectl licenseusage"
    return "licenseusage" if name in ("__main__.py", "-c", "") else name


def main() -> NoReturn:
    """Run the command line and exit: 0 ok, 1 not ok, 2 usage, 3 could not be determined."""
    have_a_home()
    try:
        get_command(app).main(args=sys.argv[1:], prog_name=program_name(sys.argv[0]))
    except UsageError as error:
        _fail(error.reason, error.message)
    except Exception as error:  # a traceback helps nobody who did not write this program
        if os.environ.get(DEBUG) == "1":
            raise
        failure = f"{type(error).__name__}: {error}".replace("\n", " ")
        _fail(Reason.UNEXPECTED, f"{failure} (set {DEBUG}=1 to see where)")
    sys.exit(0)


def _fail(reason: Reason, message: str) -> NoReturn:
    typer.echo(f"error: {reason}: {message}", err=True)
    sys.exit(UNDETERMINED)


def _keep_examples(command: Any) -> None:  # noqa: ANN401 - a command of typer's vendored click
    """Keep the lines of indented paragraphs apart: click would join them to one."""
    if command.help:
        paragraphs = command.help.split("\n\n")
        kept = [f"\b\n{_continued(text)}" if _has_own_lines(text) else text for text in paragraphs]
        command.help = "\n\n".join(kept).replace("::\n", ":\n")
    for child in getattr(command, "commands", {}).values():
        _keep_examples(child)


def _continued(paragraph: str) -> str:
    """End a line with a backslash if the next is indented deeper than a command, to be pasted."""
    lines = paragraph.split("\n")
    goes_on = [following.startswith(" " * 5) for following in [*lines[1:], ""]]
    return "\n".join(f"{line} \\" if on else line for line, on in zip(lines, goes_on, strict=True))


def _has_own_lines(paragraph: str) -> bool:
    lines = paragraph.strip("\n").split("\n")
    return any(line.startswith("    ") for line in lines) and not paragraph.startswith("\b")
