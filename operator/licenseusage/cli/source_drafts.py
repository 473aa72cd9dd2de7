"""The files that ``licenseusage source new`` writes: what is known, and TODO for what is not."""

from collections.abc import Mapping
from typing import Any

import yaml

TODO = "TODO"
_BECAUSE = f"{TODO}, what the product does."


def whole_source(
    name: str, source: Mapping[str, Any], push: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return a source that can be used as it is, with a selector and a Secret of usual names.

    Args:
        name: Of the product.
        source: What a preset may say.
        push: Who may push; None: the product is asked.
    """
    lower = name.lower()
    whole = {"name": lower} | dict(source)
    if push is not None:
        return whole | {"push": dict(push)}
    labels = {"app.kubernetes.io/name": lower}
    whole["pods"] = {"selector": {"matchLabels": labels}} | source["pods"]
    if auth := source.get("auth"):
        ((kind, fields),) = auth.items()
        key = {"key": "token"} if kind == "header" else {}
        whole["auth"] = {kind: {**fields, "secretRef": {"name": f"{lower}-meter", **key}}}
    return whole


def preset(
    name: str, kind: str, source: Mapping[str, Any], push: Mapping[str, Any] | None = None
) -> str:
    """Return the draft of a preset; it is read as one, and says TODO where nobody has said more."""
    draft = {
        "title": f"{name}, {_TITLES[kind]}",
        "verified": "Documentation",
        "version": TODO,
        "unverified": [f"{TODO}, everything; remove what you have tried on a running product"],
        "counts": [f"{TODO}, what counts beside the sentence in activityDefinition."],
        "countsNot": [f"{TODO}, what people do that does not count, such as the API."],
        "permission": f"{TODO}, the least right with which all of it is shown",
        "notPeople": _not_people(kind),
        "breaks": [f"{TODO}, what makes the number wrong, and how that is noticed."],
        "properties": [
            {"name": declared, "because": _BECAUSE, "readIn": [TODO]}
            for declared in _declared(source)
        ],
        "sameId": f"{TODO}, which id of a person is the same in two installations, or none",
        **({"example": {"push": dict(push)}} if push is not None else {}),
        "source": dict(source),
    }
    return yaml.safe_dump(draft, sort_keys=False, allow_unicode=True, width=110)


_TITLES = {
    "list": "its list of users",
    "lately": "its list of who was active lately",
    "number": "its number of active users",
    "events": "its log of what users did",
    "push": "which sends its activity",
}


def _not_people(kind: str) -> list[dict[str, str]]:
    if kind == "number":
        counted = "state in count.ownAccounts how many of them the number may hold"
        return [{"who": "the account that reads the number", "by": "Product", "how": counted}]
    leave = "write their ids into users.excludeIds"
    own = {"who": "the account that reads", "by": "You", "how": leave}
    others = {"who": f"{TODO}, bots and service accounts", "by": "You", "how": leave}
    return [others] if kind == "push" else [own, others]


def _declared(source: Mapping[str, Any]) -> list[str]:
    users = source.get("users", {})
    return [
        *(f"users.{name}" for name in ("id", "lastActive", "time") if name in users),
        *(["window"] if "window" in source else []),
        *(f"guarantees.{name}" for name in source["guarantees"]),
    ]


def test(name: str, kind: str) -> str:
    """Return a test that fails until an answer was recorded and its truth was written down."""
    lower = name.lower()
    if kind == "push":
        return _PUSH_TEST.format(name=name, lower=lower)
    known = {"list": ("LISTED", "ACTIVE"), "number": ("NUMBER",)}.get(kind, ("ACTIVE",))
    facts = {"LISTED": "usersListed", "ACTIVE": "usersCounted", "NUMBER": "number"}
    return _TEST.format(
        name=name,
        lower=lower,
        truth="\n".join(f"{each}: int | None = None" for each in known),
        missing=" and ".join(f"{each} is not None" for each in known),
        names=" and ".join(known),
        checks="\n".join(f'    assert facts["{facts[each]}"] == {each}' for each in known),
    )


_TEST = '''"""The source of {name} reads a recorded answer, whose truth is known."""

import json
import subprocess
from pathlib import Path

HERE = Path(__file__).parent
SOURCE, CAPTURE = HERE / "{lower}.source.yaml", HERE / "{lower}.capture.json"

# TODO: what you know of the recorded product, counted by hand and not by this program.
{truth}


def test_the_recorded_answer_gives_the_number_that_is_known():
    assert CAPTURE.exists(), "see `licenseusage source check --record {lower}.capture.json`"
    assert {missing}, "write down the truth: {names}"
    command = ["licenseusage", "source", "check", SOURCE, "--replay", CAPTURE, "--output", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert facts["complete"], facts["incomplete"]
{checks}
'''

_PUSH_TEST = '''"""What {name} sends is activity as the intake takes it, of a declared producer."""

import json
from pathlib import Path

import yaml

HERE = Path(__file__).parent
SOURCE, EVENTS = HERE / "{lower}.source.yaml", HERE / "{lower}.events.json"

# TODO: how many people were active while the events were kept, counted by hand.
ACTIVE: int | None = None


def test_what_is_sent_names_its_producer_and_the_people_who_are_known():
    assert EVENTS.exists(), "keep a batch that the product sends: a JSON list of CloudEvents"
    assert ACTIVE is not None, "write down the truth: ACTIVE"
    push = yaml.safe_load(SOURCE.read_text())["push"]
    people = set()
    for event in json.loads(EVENTS.read_text()):
        assert event["specversion"] == "1.0", event
        assert event["id"], event
        assert event["source"] in push.get("producers", [event["source"]]), event
        if event["type"] == "dev.licenseusage.activity":
            assert event["time"], event
            assert isinstance(event["data"]["user"], str), event
            people.add(event["data"]["user"])
    assert len(people) == ACTIVE
'''


def page(name: str, kind: str, source: Mapping[str, Any]) -> str:
    """Return the draft of a page for the docs."""
    lower = name.lower()
    exact = (
        "docs/push.md"
        if kind == "push"
        else f"the line `at best` of `licenseusage source check {lower}.source.yaml`"
    )
    correct = (
        "the service accounts in `push`"
        if kind == "push"
        else "the labels of the pods\nand the name of the Secret"
    )
    return f"""# Active users of {name}

**Counts as active:** {source["activityDefinition"]}

- **What does not count:** {TODO}
- **Who is not a person, and how to leave them out:** {TODO}
- **Permission:** {TODO}: the least right with which all of it is shown
- **How exact:** {TODO}: {exact}
- **What breaks it:** {TODO}

Put `{lower}.source.yaml` into `spec.sources` of a LicenseUsage, and correct {correct}.
"""


def next_steps(name: str, kind: str, *, auth: str) -> str:
    """Return what to do with the files."""
    lower = name.lower()
    truth = f"  then write the truth into test_{lower}_source.py, and replace each TODO"
    if kind == "push":
        return (
            "next:\n  turn the intake on, and let the product send (docs/push.md)\n"
            f"  keep a batch of it in {lower}.events.json\n{truth}"
        )
    secret = {
        "bearer": f" --secret-file {lower}-meter/token=-",
        "basic": f" --secret {lower}-meter/username=NAME --secret-file {lower}-meter/password=-",
    }.get(auth, "")
    check = f"licenseusage source check {lower}.source.yaml --url URL{secret}"
    watch = "" if kind == "events" else f"  {check} --watch\n"
    return f"next:\n  {check}\n{watch}  {check} --record {lower}.capture.json\n{truth}"
