"""``licenseusage source new``: ten questions, and drafts of a source, preset, test and page."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from licenseusage.api.admission import source_refusals
from licenseusage.api.source import Source
from licenseusage.cli import source_drafts as drafts
from licenseusage.cli.exits import NOT_OK
from licenseusage.cli.source_questions import KINDS, asked, push_of
from licenseusage.cli.written import not_writable
from licenseusage.errors import Stalled
from licenseusage.reasons import Reason
from licenseusage.sources.definition.presetfile import preset_of
from licenseusage.sources.definition.presets import effective, presets

_NAME = re.compile(r"[A-Z][A-Za-z0-9]{0,39}")
_FIRST = "1. What the product tells:\n" + "".join(
    f"   {name:<7} {kind.tells}\n" for name, kind in KINDS.items()
)


def _answer(text: str) -> Any:  # noqa: ANN401 - typer's option
    """Return an option that answers a question, which is asked where it is not given."""
    return typer.Option(help=text, show_default=False)


def new(
    kind: Annotated[str | None, _answer("list, lately, number, events or push.")] = None,
    name: Annotated[str | None, _answer("Of the product, as Wiki.")] = None,
    activity: Annotated[
        str | None, _answer("What makes a user active, in a sentence; it stands in every report.")
    ] = None,
    url: Annotated[
        str | None,
        _answer(
            "What is asked, in a pod: scheme, port, path and query. Of events with "
            "{{range.start}} and {{range.end}}."
        ),
    ] = None,
    items: Annotated[
        str | None, _answer("JMESPath of the list in the answer; empty: the answer is the list.")
    ] = None,
    user_id: Annotated[
        str | None, typer.Option("--id", help="JMESPath of the permanent id, over one of them.")
    ] = None,
    last_active: Annotated[
        str | None, _answer("JMESPath of the last activity, over one user. Of a list.")
    ] = None,
    time: Annotated[str | None, _answer("JMESPath of an event's time. Of events.")] = None,
    timezone: Annotated[
        str | None, _answer("IANA time zone of times without one, or of months. Default: UTC.")
    ] = None,
    auth: Annotated[str | None, _answer("How the reader signs in: bearer, basic or none.")] = None,
    pages: Annotated[
        str | None,
        _answer(
            "None; Offset:OFFSETPARAM,LIMITPARAM,SIZE; Page:PARAM,FIRST,SIZEPARAM,SIZE; "
            "Cursor:PARAM,PATH; HeaderCursor:PARAM,HEADER; Next:PATH; or Link for the header."
        ),
    ] = None,
    removal: Annotated[
        str | None,
        _answer("Never, ListedOnce or Unknown: when a deleted user leaves the list."),
    ] = None,
    window: Annotated[
        str | None,
        _answer("Active since when: 30d, 24h, Month or RollingMonth. Of lately and number."),
    ] = None,
    value: Annotated[
        str | None, _answer("JMESPath of the number in the answer, or metric:NAME. Of number.")
    ] = None,
    saturates_at: Annotated[
        str | None, _answer("Beyond which number it does not count; empty: none. Of number.")
    ] = None,
    own_accounts: Annotated[
        str | None, _answer("How many of those counted may be no people. Of number.")
    ] = None,
    complete: Annotated[
        str | None, _answer("Does it count everybody: Complete or Unknown. Of number.")
    ] = None,
    order: Annotated[str | None, _answer("NewestFirst or OldestFirst. Of events.")] = None,
    service_accounts: Annotated[
        str | None, _answer("Service accounts whose pods send, with commas. Of push.")
    ] = None,
    producers: Annotated[
        str | None, _answer("Values of the attribute source, with commas. Of push.")
    ] = None,
    folder: Annotated[
        Path, typer.Option(metavar="FOLDER", help="Where the files are written; it must exist.")
    ] = Path(),
) -> None:
    """Ask ten questions about a product, and write the first draft of its source.

    Four files are written, and none is ever overwritten: a source for `source check`, a preset, a
    test that replays a recorded answer, and a page for the docs. What only you can know is marked
    with TODO. Each question is an option, too, so that a script can answer; what no option answers
    is asked.

    Logs of NATS and Redis are written by hand: see docs/sources.md.

    Exit code 0: written. 1: the answers are no source. 2: an answer is not understood. 3: a file
    exists or cannot be written.

    Examples:
        licenseusage source new

        licenseusage source new --kind list --name Wiki
            --activity "Any request of a signed-in person"
            --url http://localhost:8080/api/users --items users --id id --last-active seen
            --timezone UTC --auth bearer --pages Offset:offset,limit,100 --removal Never
            --folder wiki-source

        licenseusage source new --kind number --name Chat --activity "Any message sent"
            --url http://localhost:9090/metrics --value metric:chat_active_users --window 30d
            --auth none --saturates-at "" --own-accounts 0 --complete Unknown
    """
    given = {
        "name": name,
        "activity": activity,
        "url": url,
        "items": items,
        "id": user_id,
        "last-active": last_active,
        "time": time,
        "auth": auth,
        "pages": pages,
        "removal": removal,
        "window": window,
        "value": value,
        "saturates-at": saturates_at,
        "own-accounts": own_accounts,
        "complete": complete,
        "order": order,
        "service-accounts": service_accounts,
        "producers": producers,
    }
    kind, answers = _answers(kind, given)
    if timezone is not None:
        answers["timezone"] = timezone
    source = {"activityDefinition": answers["activity"], **KINDS[kind].source(answers)}
    push = push_of(answers) if kind == "push" else None
    try:
        files = _drafted(answers["name"], kind, source, push)
    except Stalled as error:
        typer.echo(f"error: {error.reason}: {error.message}", err=True)
        raise typer.Exit(NOT_OK) from None
    _write_all(folder, files)
    typer.echo("\n".join(f"written: {folder / file}" for file in files))
    typer.echo(drafts.next_steps(answers["name"], kind, auth=answers.get("auth", "none")))


def _answers(kind: str | None, given: Mapping[str, str | None]) -> tuple[str, dict[str, str]]:
    """Return the kind, and the answers to its questions; asks what is not given.

    Raises:
        BadParameter: An answer to no question of this kind, or a kind or name that cannot be.
    """
    if kind is None:
        typer.echo(_FIRST, nl=False)
        kind = typer.prompt("   One of them", default="list")
    if kind not in KINDS:
        raise typer.BadParameter(f"choose one of {', '.join(KINDS)}", param_hint="--kind")
    questions = asked(KINDS[kind])
    for option in given.keys() - {question.option for question in questions}:
        if given[option] is not None:
            raise typer.BadParameter(f"is not asked of --kind {kind}", param_hint=f"--{option}")
    answers: dict[str, str] = {}
    for question in questions:
        answer = given[question.option]
        if answer is None:
            shown = question.default != ""
            answer = typer.prompt(question.text, default=question.default, show_default=shown)
        answers[question.option] = answer
        if question.option == "name":
            _refuse_name(answer)
    return kind, answers


def _refuse_name(name: str) -> None:
    if not _NAME.fullmatch(name) or name in presets():
        raise typer.BadParameter(
            "give up to 40 letters and digits, a capital first, and no name of a preset that is "
            "there already (licenseusage preset list)",
            param_hint="--name",
        )


def _drafted(
    name: str, kind: str, source: Mapping[str, Any], push: Mapping[str, Any] | None
) -> dict[str, str]:
    """Return the files by name, each of them read as the operator would read it.

    Raises:
        Stalled: ``InvalidSource``: the answers are no source, with the field and the fix.
    """
    whole = drafts.whole_source(name, source, push)
    try:
        checked = Source.model_validate(whole)
    except ValueError as error:
        raise Stalled(Reason.INVALID_SOURCE, f"Source {whole['name']}: {error}") from None
    for field, message in source_refusals(checked.to_object()):
        raise Stalled(Reason.INVALID_SOURCE, f"Source {checked.name}: {field}: {message}.")
    effective(checked, None)
    preset = drafts.preset(name, kind, source, push)
    preset_of(name, preset)
    lower = name.lower()
    return {
        f"{lower}.source.yaml": yaml.safe_dump(whole, sort_keys=False, allow_unicode=True),
        f"{name}.yaml": preset,
        f"test_{lower}_source.py": drafts.test(name, kind),
        f"{lower}.md": drafts.page(name, kind, source),
    }


def _write_all(folder: Path, files: Mapping[str, str]) -> None:
    """Write new files, or none of them.

    Raises:
        Stalled: ``FileExists`` or ``NotWritable``.
    """
    for file in files:
        if (folder / file).exists():
            raise _exists(folder / file)
    for file, text in files.items():
        path = folder / file
        try:
            with path.open("x", encoding="utf-8") as opened:
                opened.write(text)
        except FileExistsError:
            raise _exists(path) from None
        except OSError as error:
            raise not_writable(path, error, len(text)) from None


def _exists(path: Path) -> Stalled:
    return Stalled(
        Reason.FILE_EXISTS,
        f"{path} exists, and is not overwritten. Name another folder with --folder, or another "
        "name.",
    )
