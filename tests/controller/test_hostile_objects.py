"""LicenseUsages by somebody who may create them and nothing else: the real operator takes them all.

Each is refused by the API server, or ends in a condition that names what is wrong, or is counted as
it stands. Whatever they say, nobody's Secret is told or sent, and nobody is asked whom their author
must not reach.
"""

import json
import re
import ssl
from dataclasses import dataclass

import httpx
import pytest

from tests.controller.hostile import places, requests, secrets, shapes, world
from tests.controller.hostile.case import NAMESPACE, Case, Counts, Ends, Refused
from tests.controller.sample import TOKEN
from tests.controller.stage import Operator, Vendor, until

pytestmark = pytest.mark.controlplane

CASES = [*secrets.CASES, *places.CASES, *requests.CASES, *shapes.CASES]
AUTHOR = "author"
MESSAGE_CHARACTERS = 2048


@dataclass
class Stage:
    """What came of the table.

    Attributes:
        refusals: By case: what the API server said; not there where it took the object.
        statuses: By case, of the objects that it took.
        recorder: The author's product.
        trap: Where nobody must come.
        told: All that can be read of the operator: objects, events, its log and metrics.
        hushed: What must not stand in it.
    """

    refusals: dict[str, str]
    statuses: dict[str, dict]
    recorder: world.Recorder
    trap: world.Trap
    operator: Operator
    told: str
    hushed: list[str]


def as_author(crds, documents: dict[str, dict]) -> dict[str, str]:
    """Create each object as the author; return what the API server said to those it refused."""
    token = crds.token_for(NAMESPACE, AUTHOR)
    path = f"{crds.url}/apis/licenseusage.dev/v1alpha1/namespaces/{NAMESPACE}/licenseusages"
    refusals = {}
    trust = ssl.create_default_context(cafile=str(crds.ca_file))
    with httpx.Client(verify=trust, trust_env=False, timeout=30) as client:
        for name, document in documents.items():
            answer = client.post(
                path,
                content=json.dumps(document),
                headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
            )
            if answer.status_code != 201:
                assert answer.status_code in (400, 422), answer.text[:300]
                refusals[name] = answer.json()["message"]
    return refusals


def grant(crds) -> None:
    """Let the author create LicenseUsages, and nothing else."""
    crds.kubectl("create", "serviceaccount", AUTHOR, "-n", NAMESPACE)
    role = ("--verb=create", "--resource=licenseusages.licenseusage.dev")
    crds.kubectl("create", "role", AUTHOR, "-n", NAMESPACE, *role)
    bound = (f"--role={AUTHOR}", f"--serviceaccount={NAMESPACE}:{AUTHOR}")
    crds.kubectl("create", "rolebinding", AUTHOR, "-n", NAMESPACE, *bound)


def holds(case: Case, status: dict) -> bool:
    """Whether what is expected of a case has come."""
    conditions = {one["type"]: one for one in status.get("conditions", ())}
    match case.expected:
        case Ends(reason, kind):
            seen = conditions.get(kind, {})
            return seen.get("status") == "False" and seen.get("reason") in reason.split("|")
        case Counts(people):
            ready = conditions.get("Ready", {}).get("status") == "True"
            return ready and status.get("activeUsers") == people
    return False


@pytest.fixture(scope="module")
def stage(crds, tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    trap = world.Trap()
    recorder = world.Recorder(trap.port)
    crds.create_namespace(NAMESPACE)
    crds.create_namespace(world.NEXT_DOOR)
    grant(crds)
    vendor = Vendor(folder / "vendor")
    crds.apply([*world.secrets(folder, vendor), world.endpoints(trap)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KUBECONFIG", str(crds.kubeconfig))
        world.deploy(recorder, trap)
    operator = Operator(
        crds, NAMESPACE, folder / "operator", poll_request_seconds=3, poll_seconds=6
    ).start()
    documents = {case.name: case.document(number) for number, case in enumerate(CASES)}
    refusals = as_author(crds, documents)
    names = {one["metadata"]["name"]: name for name, one in documents.items()}

    def statuses():
        listed = crds.kubectl("get", "licenseusages", "-n", NAMESPACE, "-o", "json").stdout
        items = json.loads(listed)["items"]
        return {names[one["metadata"]["name"]]: one.get("status", {}) for one in items}

    def all_said():
        seen = statuses()
        return all(holds(case, seen[case.name]) for case in CASES if case.name in seen)

    try:
        until(all_said, 15, 0.5)
    except AssertionError:
        pass  # told case by case
    parts = ("licenseusages,usagereports,events", "-n", NAMESPACE, "-o", "json")
    told = crds.kubectl("get", *parts).stdout
    told += operator.log.read_text() + operator.http("/metrics")[1]
    yield Stage(refusals, statuses(), recorder, trap, operator, told, world.to_hush(crds.kubectl))
    operator.stop()
    recorder.close()
    trap.close()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_it_is_refused_or_ends_in_a_named_condition(stage, case):
    if isinstance(case.expected, Refused):
        assert case.expected.words in stage.refusals.get(case.name, "it was taken")
        return
    assert case.name not in stage.refusals, stage.refusals[case.name]
    status = stage.statuses[case.name]
    assert holds(case, status), json.dumps(status.get("conditions"), indent=1)


def test_the_table_is_long_and_each_case_is_there_once():
    assert len({case.name for case in CASES}) == len(CASES) >= 60


def test_each_condition_is_words_for_a_person(stage):
    for name, status in stage.statuses.items():
        for one in status["conditions"]:
            assert re.fullmatch("[A-Z][A-Za-z]+", one["reason"]), name
            assert one["reason"] != "InternalError", name
            assert len(one["message"]) <= MESSAGE_CHARACTERS, name


def test_no_exception_reaches_reconcile(stage):
    log = stage.operator.log.read_text()
    assert "Traceback" not in log
    assert '"level": "error"' not in log
    assert "licenseusage_reconcile_errors_total 0.0" in stage.operator.http("/metrics")[1]


def test_nothing_of_anybodys_secret_is_told(stage):
    assert [text for text in stage.hushed if text in stage.told] == []


def test_nothing_is_sent_but_what_was_made_to_be_sent(stage):
    heard = "\n".join(told for _, told in stage.recorder.heard)
    assert TOKEN in heard
    assert [text for text in stage.hushed if text in heard] == []


def test_the_author_can_only_ask(stage):
    assert {method for method, _ in stage.recorder.heard} == {"GET"}


def test_nobody_comes_to_a_place_that_the_author_must_not_reach(stage):
    assert stage.trap.connections == 0
