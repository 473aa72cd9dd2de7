"""``source new``: what it asks, what it writes, and that the drafts work together."""

import json
import os
import subprocess
import sys
from datetime import timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
import yaml

from hack.presets.example import example_source
from licenseusage.api.source import Source
from licenseusage.cli.source_questions import KINDS, asked
from licenseusage.sources.definition.presetfile import preset_of
from licenseusage.sources.definition.presets import effective, presets
from licenseusage.sources.definition.shipped import shipped_preset
from tests.sources import test_presets as shipped
from tests.sources.product import answer
from tests.sources.test_source_check import ago, now

ANSWERS = {
    "--kind": "list",
    "--name": "Wiki",
    "--activity": "Any request of a signed-in person",
    "--url": "http://localhost:8080/api/users?all=1",
    "--items": "users",
    "--id": "id",
    "--last-active": "seen",
    "--timezone": "Europe/Berlin",
    "--auth": "bearer",
    "--pages": "None",
    "--removal": "Never",
}
COMMON = {"--name": "Wiki", "--activity": "Any edit of a page", "--auth": "none"}
OTHERS = {
    "lately": {
        **COMMON,
        "--url": "http://localhost:8080/api/active",
        "--items": "users",
        "--id": "id",
        "--window": "30d",
        "--pages": "None",
        "--removal": "Never",
    },
    "number": {
        **COMMON,
        "--url": "http://localhost:8080/stats?of=people",
        "--value": "active.users",
        "--window": "30d",
        "--saturates-at": "250",
        "--own-accounts": "1",
        "--complete": "Complete",
    },
    "events": {
        **COMMON,
        "--url": "http://localhost:8080/log?from={{range.start}}&to={{range.end}}",
        "--items": "items",
        "--id": "user",
        "--time": "at",
        "--pages": "Offset:first,max,50",
        "--order": "NewestFirst",
    },
    "push": {
        "--name": "Wiki",
        "--activity": "Any edit of a page",
        "--service-accounts": "wiki, wiki-worker",
        "--producers": "/wiki/web",
    },
}
"""All questions of the other kinds, answered."""
IN_ORDER = (
    "--name", "--activity", "--service-accounts", "--producers", "--url", "--items", "--value",
    "--id", "--time", "--window", "--auth", "--pages", "--removal", "--order", "--saturates-at",
    "--own-accounts", "--complete",
)  # fmt: skip
OF_SHIPPED_PRESETS = (
    shipped.test_a_preset_is_complete_but_for_what_only_the_user_knows,
    shipped.test_a_preset_says_what_counts_what_does_not_and_what_breaks_it,
    shipped.test_each_declared_property_says_why_and_where_that_was_read,
    shipped.test_a_preset_gives_no_member_that_does_not_exist,
    shipped.test_a_preset_declares_what_it_would_be_assumed_to_promise,
    shipped.test_every_preset_says_which_rows_or_events_are_not_people_and_what_leaves_them_out,
)
"""The tests that each preset of the operator's own has to pass."""
FILES = {"wiki.source.yaml", "Wiki.yaml", "test_wiki_source.py", "wiki.md"}


def new(run, stdin=b"", **changed):
    given = ANSWERS | {f"--{name.replace('_', '-')}": value for name, value in changed.items()}
    return run("source", "new", *(part for pair in given.items() for part in pair), stdin=stdin)


def other(run, kind, **changed):
    changed = {f"--{name.replace('_', '-')}": value for name, value in changed.items()}
    given = {"--kind": kind} | OTHERS[kind] | changed
    return run("source", "new", *(part for pair in given.items() for part in pair))


def test_options_answer_all_questions(run, tmp_path):
    done = new(run)
    assert (done.code, done.err) == (0, "")
    assert {path.name for path in tmp_path.iterdir()} == FILES
    assert "--record wiki.capture.json" in done.out
    source = yaml.safe_load((tmp_path / "wiki.source.yaml").read_text())
    assert source["pods"] | {"selector": None} == {
        "selector": None,
        "port": 8080,
        "scheme": "HTTP",
    }
    assert source["http"]["query"] == [{"name": "all", "value": "1"}]
    assert source["users"]["lastActive"]["naiveTimezone"] == "Europe/Berlin"


def test_questions_are_asked_where_no_option_answers(run, tmp_path):
    given = [value for name, value in ANSWERS.items() if name != "--timezone"]
    lines = [*given[:-2], "Cursor:after,next", "ListedOnce"]
    lines[lines.index("seen")] = "seen, Europe/Berlin"
    done = run("source", "new", stdin="\n".join(lines).encode() + b"\n")
    assert done.code == 0
    assert [f"{number}. " in done.out for number in range(1, 11)] == [True] * 10
    source = yaml.safe_load((tmp_path / "wiki.source.yaml").read_text())
    assert source["http"]["pagination"]["params"] == [{"name": "after", "path": "next"}]
    assert source["users"]["lastActive"] == {"path": "seen", "naiveTimezone": "Europe/Berlin"}
    assert source["guarantees"] == {"lagSeconds": 60, "removal": "ListedOnce", "ids": "Unknown"}


@pytest.mark.parametrize("kind", OTHERS)
def test_each_kind_has_questions_of_its_own_ten_at_most(run, tmp_path, kind):
    questions = asked(KINDS[kind])
    assert [f"--{question.option}" for question in questions if question] == [
        name for name in IN_ORDER if name in OTHERS[kind]
    ]
    assert len(questions) + 1 <= 10
    lines = [kind, *(OTHERS[kind][f"--{question.option}"] for question in questions)]
    done = run("source", "new", stdin="\n".join(lines).encode() + b"\n")
    assert (done.code, done.err) == (0, "")
    assert [f"{number}. " in done.out for number in range(1, len(lines) + 1)] == [True] * len(lines)
    assert {path.name for path in tmp_path.iterdir()} == FILES


@pytest.mark.parametrize("kind", ["list", *OTHERS])
def test_the_preset_of_each_kind_passes_what_shipped_presets_pass(run, tmp_path, monkeypatch, kind):
    done = new(run) if kind == "list" else other(run, kind)
    assert done.code == 0, done.err
    preset = preset_of("Wiki", (tmp_path / "Wiki.yaml").read_text())
    monkeypatch.setitem(presets(), "Wiki", preset)
    for check in OF_SHIPPED_PRESETS:
        check(preset)
    written = Source.model_validate(yaml.safe_load((tmp_path / "wiki.source.yaml").read_text()))
    by_preset = Source.model_validate(example_source(preset))
    assert effective(by_preset).digest() == effective(written).digest()


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        ({"value": "metric:chat_active", "url": "http://h:9090/metrics"}, "prometheus"),
        ({"window": "Month"}, "CalendarMonthToDate"),
        ({"window": "24h"}, "hours"),
        ({"window": "RollingMonth", "timezone": "Asia/Tokyo"}, "Asia/Tokyo"),
        ({"saturates_at": ""}, "ownAccounts"),
    ],
)
def test_a_number_is_asked_for_where_and_when_it_counts(run, tmp_path, changed, found):
    done = other(run, "number", **changed)
    assert (done.code, done.err) == (0, "")
    text = (tmp_path / "wiki.source.yaml").read_text()
    assert found in text
    assert ("saturatesAt" in text) == ("saturates_at" not in changed)


@pytest.mark.parametrize(
    ("kind", "changed", "told", "code"),
    [
        ("number", {"window": "a month"}, "30d, 24h", 2),
        ("number", {"own_accounts": "some"}, "must be a number", 2),
        ("number", {"value": "metric:m", "url": "http://h/m?x=1"}, "without parameters", 2),
        ("number", {"complete": "Perhaps"}, "Complete, Unknown", 2),
        ("lately", {"removal": "ListedOnce"}, "Never, Unknown", 2),
        ("lately", {"last_active": "seen"}, "is not asked of --kind lately", 2),
        ("events", {"order": "Sorted"}, "NewestFirst, OldestFirst", 2),
        ("events", {"url": "redis://localhost:6379"}, "a log of NATS or Redis", 2),
        ("push", {"service_accounts": "Two Words"}, "serviceAccounts", 1),
        ("push", {"service_accounts": " , "}, "serviceAccounts", 1),
    ],
)
def test_an_answer_about_another_kind_that_is_wrong_is_named(
    run, tmp_path, kind, changed, told, code
):
    done = other(run, kind, **changed)
    assert done.code == code
    assert told in " ".join(done.err.replace("│", "").split())
    assert list(tmp_path.iterdir()) == []


ANSWER = {
    "lately": ({"users": [{"id": "a"}, {"id": "b"}]}, {"ACTIVE": 0}),
    "number": ({"active": {"users": 41}}, {"NUMBER": 41}),
    "events": ({"items": []}, {"ACTIVE": 2}),
}


@pytest.mark.parametrize("kind", ANSWER)
def test_the_test_that_was_written_for_another_kind_passes_with_the_truth_only(
    run, tmp_path, serve, kind
):
    assert other(run, kind).code == 0
    body, truth = ANSWER[kind]
    if kind == "events":
        seen = [now() - timedelta(days=day) for day in (1, 3, 5, 40, 50)]
        users = ["a", "b", "a", "c", "d"]
        rows = [
            {"user": u, "at": f"{t:%Y-%m-%dT%H:%M:%SZ}"} for t, u in zip(seen, users, strict=True)
        ]
        source = tmp_path / "wiki.source.yaml"
        source.write_text(source.read_text().replace("ids: Unknown", "ids: Stable"))

    def respond(asked):
        date = {"Date": format_datetime(now(), usegmt=True)}
        if kind != "events":
            return answer(body, headers=date)
        first = int(asked.param("first"))
        wanted = [row for row in rows if asked.param("from") <= row["at"] <= asked.param("to")]
        return answer({"items": wanted[first : first + 50]}, headers=date)

    url = f"http://127.0.0.1:{serve(respond).port}"
    done = run("source", "check", "wiki.source.yaml", "--url", url, "--record", "wiki.capture.json")
    assert done.code == 0, done.err
    test = tmp_path / "test_wiki_source.py"
    assert "write down the truth" in passed(test)
    text = test.read_text()
    for name, number in truth.items():
        text = text.replace(f"{name}: int | None = None", f"{name}: int | None = {number}")
    test.write_text(text)
    assert passed(test) == ""
    test.write_text(text.replace("None = ", "None = 1"))
    assert "AssertionError" in passed(test)


def test_the_test_of_a_product_that_pushes_reads_what_it_sends(run, tmp_path):
    assert other(run, "push").code == 0
    test = tmp_path / "test_wiki_source.py"
    assert "keep a batch that the product sends" in passed(test)
    event = {
        "specversion": "1.0",
        "id": "1",
        "source": "/wiki/web",
        "type": "dev.licenseusage.activity",
        "time": "2026-11-10T08:00:00Z",
        "data": {"user": "a"},
    }
    (tmp_path / "wiki.events.json").write_text(json.dumps([event, event | {"id": "2"}]))
    test.write_text(test.read_text().replace("None = None", "None = 1"))
    assert passed(test) == ""
    (tmp_path / "wiki.events.json").write_text(json.dumps([event | {"source": "/other"}]))
    assert "/other" in passed(test)


@pytest.mark.parametrize(
    ("pages", "kind"),
    [
        ("None", {"type": "None"}),
        (
            "Offset:offset,limit,100",
            {"type": "Offset", "offsetParam": "offset", "limitParam": "limit", "size": 100},
        ),
        (
            "Page:page,1,per_page,50",
            {"type": "Page", "pageParam": "page", "first": 1, "sizeParam": "per_page", "size": 50},
        ),
        (
            "HeaderCursor:continuationToken,X-MS-ContinuationToken",
            {
                "type": "HeaderCursor",
                "header": "X-MS-ContinuationToken",
                "cursorParam": "continuationToken",
            },
        ),
        ("Next:links.next", {"type": "Next", "path": "links.next"}),
        ("Link", {"type": "Next"}),
    ],
)
def test_each_kind_of_pages_gives_a_source_that_is_accepted(run, tmp_path, pages, kind):
    assert new(run, pages=pages).code == 0
    source = yaml.safe_load((tmp_path / "wiki.source.yaml").read_text())
    assert source["http"]["pagination"] == kind
    preset = (tmp_path / "Wiki.yaml").read_text()
    assert shipped_preset("Wiki", preset, "here", frozenset()).definition == ANSWERS["--activity"]


@pytest.mark.parametrize("there", sorted(FILES))
def test_a_file_that_is_there_stays_and_none_is_written(run, tmp_path, there):
    (tmp_path / there).write_text("mine")
    done = new(run)
    assert (done.code, "FileExists" in done.err) == (3, True)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {there: "mine"}


@pytest.mark.parametrize(
    ("changed", "told", "code"),
    [
        ({"name": "two words"}, "--name", 2),
        ({"name": "Gitea"}, "a preset that is", 2),
        ({"url": "nats://h:4222"}, "NATS", 2),
        ({"url": "localhost/users"}, "http://localhost", 2),
        ({"last_active": ""}, "say --kind lately", 2),
        ({"kind": "poll"}, "list, lately, number, events, push", 2),
        ({"window": "30d"}, "is not asked of --kind list", 2),
        ({"auth": "magic"}, "bearer, basic, none", 2),
        ({"pages": "Offset:offset"}, "limit parameter", 2),
        ({"pages": "Offset:offset,limit,many"}, "must be a number", 2),
        ({"pages": "Scroll"}, "None, Offset", 2),
        ({"removal": "Sometimes"}, "Never, ListedOnce", 2),
        ({"id": "a("}, "users.id", 1),
        ({"timezone": "Mars"}, "Mars", 1),
        ({"folder": "nowhere"}, "Create the folder first", 3),
    ],
)
def test_an_answer_that_is_wrong_is_named_and_nothing_is_written(
    run, tmp_path, changed, told, code
):
    done = new(run, **changed)
    assert done.code == code
    assert told in " ".join(done.err.replace("│", "").split())
    assert list(tmp_path.iterdir()) == []


def test_the_drafts_work_together(run, tmp_path, serve):
    """A product is recorded, and the test that was written passes, but not before, nor wrongly."""
    assert new(run, timezone="UTC").code == 0
    test = tmp_path / "test_wiki_source.py"
    rows = [{"id": "a", "seen": ago(hours=1)}, {"id": "b", "seen": None}]
    date = {"Date": format_datetime(now(), usegmt=True)}
    url = f"http://127.0.0.1:{serve(answer({'users': rows}, headers=date)).port}"
    asked = ("source", "check", "wiki.source.yaml", "--url", url, "--secret", "wiki-meter/token=t")
    done = run(*asked, "--record", "wiki.capture.json", "-o", "json")
    assert (done.code, json.loads(done.out)["usersCounted"]) == (0, 1)
    assert "write down the truth" in passed(test)
    text = test.read_text().replace("LISTED: int | None = None", "LISTED: int | None = 2")
    test.write_text(text.replace("ACTIVE: int | None = None", "ACTIVE: int | None = 1"))
    assert passed(test) == ""
    test.write_text(test.read_text().replace("None = 1", "None = 2"))
    assert "AssertionError" in passed(test)


def passed(test: Path) -> str:
    """Run the one test of a file; returns how it failed."""
    code = (
        "import runpy, sys\n"
        "names = runpy.run_path(sys.argv[1])\n"
        "[names[name]() for name in names if name.startswith('test_')]"
    )
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [sys.executable, "-c", code, str(test)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PATH": path},
    )
    return done.stderr if done.returncode else ""
