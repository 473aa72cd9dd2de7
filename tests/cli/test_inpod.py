"""A command that needs the ledger runs in the operator's pod; only kubectl is between."""

import json
import os

import pytest
import typer

from licenseusage.cli.inpod import OperatorPod, beside_ledger, run_in_pod, stream_in_pod
from licenseusage.cli.podstream import StreamCut
from licenseusage.errors import UsageError
from tests.cli.pods import kubectl_in, pod, showing


@pytest.fixture
def kubectl(tmp_path, monkeypatch):
    """A kubectl that notes its arguments and then runs the lines of a shell script."""

    def does(script, *pods):
        folder = kubectl_in(tmp_path, f'{showing(*pods)}echo "$@" > {tmp_path}/asked\n{script}')
        monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
        return lambda: (tmp_path / "asked").read_text().strip()

    return does


def failure(pod=None):
    with pytest.raises(UsageError) as error:
        run_in_pod(pod or OperatorPod(), ["report", "export"])
    return error.value


def test_it_runs_itself_in_the_operators_container(kubectl):
    asked = kubectl("echo token")
    assert run_in_pod(OperatorPod(), ["report", "export", "-o", "-"]) == b"token\n"
    assert asked() == (
        "exec -n licenseusage-system pod/licenseusage-operator-1 -c operator -- "
        "licenseusage report export -o -"
    )


def test_namespace_context_and_kubeconfig_are_the_callers_choice(kubectl):
    asked = kubectl("true")
    run_in_pod(OperatorPod("metering", "site-b", "/etc/kube"), ["version"])
    assert asked().startswith("--kubeconfig /etc/kube --context site-b exec -n metering ")


def test_input_and_output_are_streamed(kubectl, tmp_path):
    asked = kubectl("cat")
    with (tmp_path / "out").open("w+b") as file:
        assert run_in_pod(OperatorPod(), ["x"], stdin=b"\x00\xffabc", stdout=file) == b""
        file.seek(0)
        assert file.read() == b"\x00\xffabc"
    assert " -i -- licenseusage" in asked()


def test_nothing_to_read_is_no_terminal(kubectl):
    kubectl("cat")
    assert run_in_pod(OperatorPod(), ["x"]) == b""


def test_what_the_command_says_is_passed_on_with_its_exit_code(kubectl, capsys):
    kubectl(
        'echo "error: NotEnrolled: the ledger holds no enrolment" >&2\n'
        'echo "command terminated with exit code 3" >&2\nexit 3'
    )
    with pytest.raises(typer.Exit) as exit_:
        run_in_pod(OperatorPod(), ["report", "export"])
    assert exit_.value.exit_code == 3
    assert capsys.readouterr().err == "error: NotEnrolled: the ledger holds no enrolment\n"


def test_a_warning_of_a_command_that_succeeds_is_passed_on(kubectl, capsys):
    kubectl("echo 'nothing waits' >&2")
    run_in_pod(OperatorPod(), ["report", "export"])
    assert capsys.readouterr().err == "nothing waits\n"


def test_without_kubectl_it_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    error = failure()
    assert error.reason == "NotInstalled"
    assert "install kubectl" in error.message


def test_a_pod_that_went_away_meanwhile_is_no_loss(kubectl):
    words = 'Error from server (NotFound): pods "licenseusage-operator-1" not found'
    kubectl(f"echo '{words}' >&2; exit 1")
    error = failure()
    assert error.reason == "OperatorNotRunning"
    assert "Try again" in error.message


@pytest.mark.controlplane
def test_a_caller_without_the_right_to_exec_by_a_real_api_server(crds, namespace, monkeypatch):
    """And with it the API server gets as far as a cluster without a kubelet can."""
    shown = pod("operator-1", namespace)
    status = {"status": shown.pop("status")}
    crds.apply(shown)
    patch = ("patch", "pod", "operator-1", "-n", namespace, "--subresource=status", "--type=merge")
    crds.kubectl(*patch, "-p", json.dumps(status))
    crds.kubectl("create", "serviceaccount", "keeper", "-n", namespace)
    monkeypatch.setenv("PATH", f"{crds.binaries.folder}:{os.environ['PATH']}")
    where = OperatorPod(namespace, None, str(crds.kubeconfig_for(namespace, "keeper")))

    def allow(resource, *verbs):
        name = resource.replace("/", "-")
        granted = (f"--verb={','.join(verbs)}", f"--resource={resource}")
        crds.kubectl("create", "role", name, "-n", namespace, *granted)
        bound = (f"--role={name}", f"--serviceaccount={namespace}:keeper")
        crds.kubectl("create", "rolebinding", name, "-n", namespace, *bound)

    error = failure(where)
    assert (error.reason, "cannot list resource" in error.message) == ("ForbiddenByCluster", True)
    allow("pods", "get", "list")
    error = failure(where)
    assert error.reason == "ForbiddenByCluster"
    assert 'cannot create resource "pods/exec"' in error.message
    allow("pods/exec", "get", "create")
    error = failure(where)
    assert (error.reason, "host assigned" in error.message) == ("APIUnavailable", True)


def test_a_caller_without_the_right_to_exec(kubectl):
    kubectl(
        'echo \'Error from server (Forbidden): pods "licenseusage-operator-1" is forbidden: User '
        '"ann" cannot create resource "pods/exec"\' >&2; exit 1'
    )
    error = failure()
    assert error.reason == "ForbiddenByCluster"
    assert "get and create pods/exec, in namespace licenseusage-system" in error.message


@pytest.mark.parametrize(
    "words",
    [
        'error: unable to upgrade connection: container not found ("operator")',
        "error: error reading from error stream: next reader: read tcp: use of closed connection",
        "Unable to connect to the server: dial tcp 127.0.0.1:1: connect: connection refused",
        "",
    ],
)
def test_any_other_failure_of_kubectl_is_its_own_words_and_where_to_look(kubectl, words):
    kubectl(f"echo '{words}' >&2; exit 1")
    error = failure()
    assert error.reason == "APIUnavailable"
    assert (words or "no message") in error.message
    assert "kubectl get pods -n licenseusage-system" in error.message


def test_the_operators_environment_names_the_ledger():
    assert beside_ledger({"LICENSEUSAGE_DATABASE_URL": "sqlite:////var/lib/ledger.sqlite"})
    assert not beside_ledger({"KUBERNETES_SERVICE_HOST": "10.0.0.1"})


def test_a_caller_who_may_not_list_pods_is_told_which_rights_the_command_needs(
    tmp_path, monkeypatch
):
    said = 'Error from server (Forbidden): pods is forbidden: User "ann" cannot list'
    folder = kubectl_in(tmp_path, f"echo '{said}' >&2; exit 1")
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    error = failure()
    assert error.reason == "ForbiddenByCluster"
    assert "get and list pods" in error.message
    assert "ClusterRole" not in error.message


def test_installations_elsewhere_are_named(tmp_path, monkeypatch):
    others = showing(pod(namespace="metering"), asked="*--all-namespaces*")
    folder = kubectl_in(tmp_path, f"{others}echo '{{\"items\": []}}'")
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    error = failure()
    assert error.reason == "OperatorNotFound"
    assert "--operator-namespace=metering/licenseusage" in error.message


@pytest.mark.parametrize(
    "said",
    [
        "error: Internal error occurred: OCI runtime exec failed: exec failed: unable to start "
        'container process: exec: "licenseusage": executable file not found in $PATH: unknown',
        "command terminated with exit code 127",
        "Usage: licenseusage ledger backup\ncommand terminated with exit code 2",
    ],
)
def test_a_container_without_the_command_is_another_version(kubectl, said):
    kubectl(f"printf '{said}' >&2; exit 1")
    error = failure()
    assert error.reason == "OperatorDiffers"
    assert "pod licenseusage-operator-1" in error.message
    assert "use the version of the operator" in error.message


def test_a_command_that_writes_more_than_is_read_of_it_is_ended(kubectl):
    """A stream that is not what was expected is not read to its end."""
    kubectl("yes")

    def take(stream):
        raise StreamCut(stream.readline().decode())

    with pytest.raises(StreamCut, match="y"):
        stream_in_pod(OperatorPod(), ["x"], take=take)


def test_progress_is_told_while_the_command_runs_and_is_none_of_its_words(kubectl, capsys):
    kubectl("echo 'progress: 1 4' >&2; echo note >&2; echo 'progress: 4 4' >&2; echo done")
    told = []
    out = stream_in_pod(
        OperatorPod(), ["x"], take=lambda stream: stream.read(), tell=lambda *at: told.append(at)
    )
    assert (out, told) == (b"done\n", [(1, 4), (4, 4)])
    assert capsys.readouterr().err == "note\n"


def test_what_fails_while_the_input_is_made_ends_the_command(kubectl):
    kubectl("cat")

    def pieces():
        yield b"first"
        raise ValueError("the file became shorter")

    with pytest.raises(ValueError, match="shorter"):
        stream_in_pod(OperatorPod(), ["x"], feed=pieces(), take=lambda stream: stream.read())


def test_a_command_that_does_not_read_its_input_to_the_end_says_why_itself(kubectl, capsys):
    kubectl(
        "echo 'error: NotWritable: full' >&2\n"
        "echo 'command terminated with exit code 3' >&2; exit 3"
    )
    with pytest.raises(typer.Exit) as exit_:
        stream_in_pod(
            OperatorPod(), ["x"], feed=[b"0" * 65536] * 64, take=lambda stream: stream.read()
        )
    assert exit_.value.exit_code == 3
    assert "NotWritable" in capsys.readouterr().err
