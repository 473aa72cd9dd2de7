"""Objects by kubectl: what it says is passed on, what goes wrong names the fix."""

import os
import stat

import pytest

from licenseusage.cli.incluster import list_directly
from licenseusage.cli.kubectl import Kubectl
from licenseusage.errors import Retryable, UsageError

REPORTS = "usagereports.licenseusage.dev"


@pytest.fixture
def kubectl(tmp_path, monkeypatch):
    """A program `kubectl` that prints, fails, and keeps its arguments."""

    def made(script):
        folder = tmp_path / "bin"
        folder.mkdir(exist_ok=True)
        program = folder / "kubectl"
        program.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/arguments\n{script}\n')
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
        return tmp_path / "arguments"

    return made


def refused(*arguments, **named):
    with pytest.raises(UsageError) as caught:
        Kubectl(*arguments).list(REPORTS, **named)
    return caught.value


def test_objects_of_a_list_are_returned(kubectl):
    arguments = kubectl("""echo '{"items": [{"kind": "UsageReport"}]}'""")
    assert Kubectl().list(REPORTS) == [{"kind": "UsageReport"}]
    assert arguments.read_text().split()[:2] == ["get", REPORTS]
    assert "--namespace" not in arguments.read_text()


def test_context_kubeconfig_and_namespace_are_passed_on(kubectl):
    arguments = kubectl("""echo '{"items": []}'""")
    assert Kubectl("prod", "/home/me/kube").list(REPORTS, "shop") == []
    Kubectl().list(REPORTS, everywhere=True)
    first, second = arguments.read_text().splitlines()
    assert {"--context=prod", "--kubeconfig=/home/me/kube", "--namespace=shop"} <= set(
        first.split()
    )
    assert "--all-namespaces" in second.split()


def test_a_missing_kubectl_is_said_with_the_way_without_it(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    error = refused()
    assert error.reason == "NotInstalled"
    assert "kubectl is not in PATH" in error.message


def test_a_refusal_names_the_role_to_ask_for(kubectl):
    kubectl(
        'echo "Error from server (Forbidden): usagereports is forbidden: User \\"jo\\" cannot '
        'list" >&2; exit 1'
    )
    error = refused(namespace="shop")
    assert error.reason == "ForbiddenByCluster"
    assert 'User "jo" cannot list' in error.message
    assert "licenseusage-view" in error.message
    assert "--namespace=shop" in error.message


def test_a_cluster_without_our_kinds_is_named_as_such(kubectl):
    kubectl(
        """echo "error: the server doesn't have a resource type \\"usagereports\\"" >&2; exit 1"""
    )
    error = refused()
    assert error.reason == "KubectlFailed"
    assert "not installed in this cluster" in error.message


@pytest.mark.parametrize("answer", ["<html>portal</html>", "[]", "\\377\\376", '{"items": 3}', ""])
def test_an_answer_that_is_no_list_of_objects_is_refused(kubectl, answer):
    kubectl(f"printf '{answer}'")
    error = refused()
    assert error.reason == "KubectlFailed"
    assert "its answer is" in error.message


def test_other_words_of_kubectl_are_passed_on_in_one_line(kubectl):
    kubectl('printf "error: context\\n\\"x\\" does not exist\\n" >&2; exit 1')
    assert refused("x").message.endswith('error: context; "x" does not exist')


def test_a_kubectl_that_hangs_is_given_up(kubectl, monkeypatch):
    monkeypatch.setattr("licenseusage.cli.kubectl.PATIENCE_SECONDS", 0.05)
    kubectl("exec sleep 5")
    error = refused()
    assert isinstance(error, Retryable)
    assert error.reason == "APIUnavailable"


@pytest.mark.controlplane
def test_objects_are_read_with_kubectl_and_directly_alike(crds, namespace, monkeypatch):
    item = {
        "apiVersion": "licenseusage.dev/v1alpha1",
        "kind": "UsageReceipt",
        "metadata": {"name": "one", "namespace": namespace},
        "spec": {"receipts": ["a.b.c"]},
    }
    crds.apply(item)
    monkeypatch.setenv("KUBECONFIG", str(crds.kubeconfig))
    monkeypatch.setenv("PATH", f"{crds.binaries.folder}:{os.environ['PATH']}")
    receipts = "usagereceipts.licenseusage.dev"
    by_kubectl = Kubectl().list(receipts, namespace)
    assert [item["metadata"]["name"] for item in by_kubectl] == ["one"]
    directly = list_directly(receipts, namespace)
    assert [item["spec"] for item in directly] == [item["spec"] for item in by_kubectl]
    assert {item["metadata"]["name"] for item in list_directly(receipts, everywhere=True)} >= {
        "one"
    }


@pytest.mark.controlplane
def test_a_refusal_of_the_api_server_is_said(crds, namespace, monkeypatch):
    crds.kubectl("create", "serviceaccount", "nobody", "-n", namespace)
    monkeypatch.setenv("KUBECONFIG", str(crds.kubeconfig_for(namespace, "nobody")))
    with pytest.raises(UsageError) as caught:
        list_directly(REPORTS, namespace)
    assert caught.value.reason == "ForbiddenByCluster"
    assert "service account" in caught.value.message
