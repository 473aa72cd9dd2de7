"""Which pod a command about the ledger runs in, by what the API server shows."""

import pytest

from licenseusage.cli.operatorpods import Wanted, chosen, read_pods
from licenseusage.errors import UsageError
from tests.cli.pods import URL, pod

WANTED = Wanted("licenseusage-system")
WAITING = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 5m0s"}}
MAINTENANCE = pod("licenseusage-maintenance", component="maintenance")
POSTGRES = {**URL, "value": "postgresql://db/ledger"}


def choice(*pods, wanted=WANTED, **options):
    return chosen(read_pods(pods), wanted, **options).name


def refusal(*pods, **options):
    with pytest.raises(UsageError) as error:
        choice(*pods, **options)
    return error.value.reason, error.value.message


def leaving(item):
    return {**item, "metadata": {**item["metadata"], "deletionTimestamp": "2026-11-01T00:00:00Z"}}


def test_the_operators_pod_is_known_by_the_container_whose_environment_names_the_ledger():
    stranger = pod("other-operator", env=())
    assert choice(stranger, pod()) == "licenseusage-operator-1"
    assert chosen(read_pods([pod()]), WANTED).container == "operator"


def test_a_pod_that_is_being_deleted_is_not_chosen():
    assert choice(leaving(pod("old")), pod("new")) == "new"
    reason, message = refusal(leaving(pod("old")))
    assert reason == "OperatorNotRunning"
    assert "pod old: it is being deleted" in message


def test_two_pods_of_one_file_are_refused_and_named():
    reason, message = refusal(pod("one"), pod("two"))
    assert reason == "Ambiguous"
    assert "one, two" in message
    assert "one replica" in message


def test_of_several_pods_with_a_database_one_that_is_ready_is_chosen():
    env = (POSTGRES,)
    assert choice(pod("a", env=env, ready=False), pod("b", env=env)) == "b"


def test_a_ledger_is_read_where_the_operator_runs_and_changed_in_the_maintenance_pod():
    assert choice(MAINTENANCE, pod()) == "licenseusage-operator-1"
    assert choice(MAINTENANCE, pod(), writing=True) == "licenseusage-maintenance"
    assert choice(MAINTENANCE) == "licenseusage-maintenance"
    assert choice(pod(), writing=True) == "licenseusage-operator-1"


def test_installations_of_one_namespace_are_told_apart_by_name():
    both = (pod("a"), pod("b", installation="site-b"))
    reason, message = refusal(*both)
    assert reason == "Ambiguous"
    assert "licenseusage-system/licenseusage, licenseusage-system/site-b" in message
    assert choice(*both, wanted=Wanted.read("licenseusage-system/site-b")) == "b"
    reason, message = refusal(*both, wanted=Wanted.read("licenseusage-system/none"))
    assert reason == "OperatorNotFound"
    assert "--operator-namespace=licenseusage-system/licenseusage" in message


def test_without_any_pod_the_way_to_the_volume_is_named():
    reason, message = refusal()
    assert reason == "OperatorNotFound"
    assert "in namespace licenseusage-system" in message
    assert "kubectl apply -k manifests/maintenance" in message


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        ({"state": WAITING}, "waiting: CrashLoopBackOff: back-off 5m0s"),
        ({"state": {"terminated": {"reason": "OOMKilled"}}}, "terminated: OOMKilled"),
        (
            {
                "state": None,
                "phase": "Pending",
                "conditions": [
                    {"status": "False", "reason": "Unschedulable", "message": "0/3 nodes"}
                ],
            },
            "Unschedulable: 0/3 nodes",
        ),
        ({"state": None, "phase": "Failed"}, "phase Failed"),
    ],
)
def test_a_pod_that_does_not_run_is_refused_with_what_the_cluster_says_of_it(seen, words):
    reason, message = refusal(pod(**seen))
    assert reason == "OperatorNotRunning"
    assert f"pod licenseusage-operator-1: {words}" in message
    assert "kubectl describe pod -n licenseusage-system licenseusage-operator-1" in message
