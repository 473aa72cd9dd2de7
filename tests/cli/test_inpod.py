"""A command that needs the ledger runs in the operator's pod; only kubectl is between."""

import io

import pytest
import typer

from licenseusage.cli.inpod import OperatorPod, beside_ledger, run_in_pod
from licenseusage.errors import UsageError


@pytest.fixture
def kubectl(tmp_path, monkeypatch):
    """A kubectl that notes its arguments and then runs the lines of a shell script."""

    def does(script):
        program = tmp_path / "bin" / "kubectl"
        program.parent.mkdir(exist_ok=True)
        program.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/asked\n{script}\n')
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
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
        "exec -n licenseusage-system deployment/licenseusage-operator -c operator -- "
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


def test_no_operator_in_the_namespace(kubectl):
    words = 'Error from server (NotFound): deployments.apps "licenseusage-operator" not found'
    kubectl(f"echo '{words}' >&2; exit 1")
    error = failure(OperatorPod("elsewhere"))
    assert error.reason == "OperatorNotFound"
    assert "in namespace elsewhere" in error.message
    assert "--operator-namespace" in error.message


def test_a_caller_without_the_right_to_exec(kubectl):
    kubectl(
        'echo \'Error from server (Forbidden): pods "licenseusage-operator-1" is forbidden: User '
        '"ann" cannot create resource "pods/exec"\' >&2; exit 1'
    )
    error = failure()
    assert error.reason == "ForbiddenByCluster"
    assert "create pods/exec" in error.message


@pytest.mark.parametrize(
    "words",
    [
        'error: unable to upgrade connection: container not found ("operator")',
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


def test_output_can_be_memory_only_as_a_real_file():
    with pytest.raises(io.UnsupportedOperation):
        run_in_pod(OperatorPod(), ["x"], stdout=io.BytesIO())
