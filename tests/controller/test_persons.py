"""A person is looked for in a real operator's ledger, by its own keys and objects.

Only the kubelet's part of ``kubectl exec`` is played: the command runs beside the operator's
ledger, in the operator's environment. All else that is asked of kubectl the API server answers.
"""

import json
import os
from datetime import UTC, datetime

import pytest

from tests.cli.pods import pod
from tests.controller.sample import Product
from tests.controller.stage import CLI, Operator, create_pods, meter_secret, until, usage
from trials import forked

pytestmark = pytest.mark.controlplane

PERSON = "ann@example.com"
OPERATORS = "persons-operator"


@pytest.fixture(scope="module")
def stage(crds, tmp_path_factory):
    namespace, folder = "persons", tmp_path_factory.mktemp("persons")
    crds.create_namespace(namespace)
    product = Product()
    product.users = {PERSON: product.now() - 60, "bob": product.now() - 70, "idle": None}
    cycle = {"anchorDate": datetime.now(UTC).date().isoformat(), "lengthDays": 30}
    crds.apply([meter_secret(namespace), usage(namespace, spec={"cycle": cycle})])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KUBECONFIG", str(crds.kubeconfig))
        create_pods(namespace, {"shop": (product.port, True)})
        crds.create_namespace(OPERATORS)
    shown = pod("operator-1", OPERATORS)
    status = shown.pop("status")
    crds.apply(shown)
    patch = ("patch", "pod", "operator-1", "-n", OPERATORS, "--subresource=status", "--type=merge")
    crds.kubectl(*patch, "-p", json.dumps({"status": status}))
    operator = Operator(crds, namespace, folder / "operator", person_requests="Allowed").start()
    operator.wait_condition("shop", "Collected", "True")
    until(lambda: operator.status("shop").get("activeUsers") == 2)
    yield operator, caller(operator, folder)
    operator.stop()
    product.close()


def caller(operator, folder):
    """A person's machine: its kubectl reaches the API server, and runs commands in the pod."""
    environment = folder / "pod.json"
    environment.write_text(json.dumps(operator.env))
    kubectl = folder / "bin" / "kubectl"
    kubectl.parent.mkdir()
    kubectl.write_text(
        "#!/usr/bin/env python3\n"
        "import json, os, sys\n"
        f"asked = sys.argv[1:]\n"
        f"with open({str(folder / 'asked')!r}, 'a') as file: print(*asked, file=file)\n"
        f"if 'exec' not in asked: os.execv({str(operator.cp.binaries.kubectl)!r}, sys.argv)\n"
        f"command = [{CLI[0]!r}, *asked[asked.index('--') + 2:]]\n"
        f"os.execve(command[0], command, json.load(open({str(environment)!r})))\n"
    )
    kubectl.chmod(0o755)
    env = {k: v for k, v in operator.env.items() if not k.startswith("LICENSEUSAGE_")}
    env["PATH"] = f"{kubectl.parent}{os.pathsep}{env['PATH']}"

    def run(*arguments):
        return forked.run(*arguments, f"--operator-namespace={OPERATORS}", env=env)

    run.asked = folder / "asked"
    return run


def test_a_person_is_found_recorded_and_named_nowhere(stage):
    operator, run = stage
    done = run("explain", "shop", "-n", "persons", f"--user={PERSON}", "--output=json")
    assert done.returncode == 0, done.stderr
    (cycle,) = json.loads(done.stdout)["cycles"]
    assert (cycle["state"], cycle["standing"]) == ("Open", "Counted")
    (source,) = cycle["sources"]
    assert source["activeDays"] == [datetime.now(UTC).date().isoformat()]
    until(lambda: "a person was looked for" in operator.log.read_text())
    log = operator.log.read_text()
    whoami = json.loads(operator.cp.kubectl("auth", "whoami", "-o", "json").stdout)
    assert f"caller={whoami['status']['userInfo']['username']}" in log.replace("'", "").replace(
        '": "', "="
    ).replace('"', "")
    record = (operator.folder / "ledger.sqlite.persons").read_text()
    for text in (log, record, run.asked.read_text(), done.stderr):
        assert PERSON not in text


def test_somebody_listed_without_activity_is_not_counted(stage):
    _, run = stage
    done = run("explain", "shop", "-n", "persons", "--user=idle")
    assert done.returncode == 0, done.stderr
    assert "not counted so far" in done.stdout
    assert "no activity in the cycle was seen so far" in done.stdout


def test_a_person_is_ordered_to_be_erased_while_the_operator_counts(stage):
    operator, run = stage
    done = run("erase", "shop", "-n", "persons", "--user=bob", "--yes", "--output=json")
    assert done.returncode == 0, done.stderr
    (cycle,) = json.loads(done.stdout)["cycles"]
    assert cycle["result"] == "Ordered"
    assert operator.status("shop")["activeUsers"] == 2
    ledger = str(operator.folder / "ledger.sqlite")
    forked.run("ledger", "check", ledger, env=operator.env, code=0)


def test_it_is_refused_where_the_settings_do_not_allow_it(stage, tmp_path):
    operator, _ = stage
    refusing = {**operator.env, "LICENSEUSAGE_PERSON_REQUESTS": "Refused"}
    done = forked.run("explain", "shop", "-n", "persons", "--user=ann", env=refusing, code=3)
    assert "error: PersonRequestsRefused" in done.stderr
