"""One running control plane: etcd and kube-apiserver with RBAC, for as long as a ``with`` block."""

import json
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import yaml

from hack.controlplane import pki, pods
from hack.controlplane.binaries import Binaries, find
from hack.controlplane.clients import client_environment
from hack.controlplane.errors import ControlPlaneError, KubectlError
from hack.controlplane.places import Places
from hack.controlplane.processes import PortTaken, Processes, free_port
from hack.controlplane.progress import Progress

ISSUER: Final = "https://kubernetes.default.svc"
"""Issuer and audience of service-account tokens."""

Manifest = Mapping[str, Any]


class ControlPlane:
    """A real Kubernetes API on 127.0.0.1, made fresh on entry and gone on exit.

    Runs etcd and kube-apiserver (RBAC, service-account tokens, all default admission plugins) on
    free ports in a temporary folder; several run side by side. There is no scheduler, kubelet or
    controller manager: pods stay as they were written (see `create_pod` for some that look alive),
    namespaces stay Terminating, nothing is garbage-collected. However the parent ends, the
    processes end with it.

        with ControlPlane() as cp:
            cp.apply(Path("crds"))
            cp.kubectl("get", "crds")

    Attributes:
        url: Address of the API server, ``https://127.0.0.1:<port>``.
        kubeconfig: A kubeconfig of the administrator (``system:masters``).
        ca_file: PEM file of the CA that signed the API server's certificate.
        folder: Temporary folder that holds all of it; a place for files that go with it.
        binaries: The etcd, kube-apiserver and kubectl in use.
    """

    url: str
    kubeconfig: Path
    ca_file: Path
    folder: Path

    def __init__(
        self,
        binaries: Binaries | None = None,
        *,
        start_seconds: float = 120.0,
        api_server_flags: Sequence[str] = (),
        progress: Progress | None = None,
    ) -> None:
        """Prepare; nothing runs yet.

        Args:
            binaries: What to run; found (or fetched, or built) on entry if not given.
            start_seconds: After this long without ``/readyz`` the start has failed.
            api_server_flags: Appended to the API server's own, such as ``--feature-gates=…``.
            progress: Where to say what is happening; stderr if not given.
        """
        self._given = binaries
        self._start_seconds = start_seconds
        self._api_server_flags = tuple(api_server_flags)
        self._progress = progress if progress is not None else Progress()
        self._processes: Processes | None = None
        self._places = Places(self.get)

    # -- start and stop

    def __enter__(self) -> Self:
        """Start and wait until the API server is ready.

        Raises:
            ControlPlaneError: The binaries cannot be had, or the start failed (with the log's end).
        """
        self.binaries = self._given if self._given is not None else find(progress=self._progress)
        for attempt in (1, 2, 3):
            try:
                self._start()
            except PortTaken:
                # Between finding a free port and the server's use of it somebody else was faster.
                self._stop()
                if attempt == 3:
                    raise
            except BaseException:
                self._stop()
                raise
            else:
                return self
        raise AssertionError("unreachable")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Kill everything and remove the folder."""
        self._stop()

    def _start(self) -> None:
        self._processes = processes = Processes()
        self.folder = processes.folder
        files = pki.create(self.folder)
        self.ca_file = files.ca
        context = ssl.create_default_context(cafile=str(files.ca))
        context.load_cert_chain(files.admin_certificate, files.admin_key)
        self._http = urllib.request.build_opener(
            urllib.request.ProxyHandler({}),  # whatever the environment says: it is on loopback
            urllib.request.HTTPSHandler(context=context),
        )
        etcd_url, port = f"http://127.0.0.1:{free_port()}", free_port()
        self.url = f"https://127.0.0.1:{port}"
        self.kubeconfig = self._write_kubeconfig(
            "admin",
            {
                "client-certificate": str(files.admin_certificate),
                "client-key": str(files.admin_key),
            },
        )
        deadline = time.monotonic() + self._start_seconds
        processes.start(
            "etcd",
            self.binaries.etcd,
            f"--data-dir={self.folder / 'etcd'}",
            f"--listen-client-urls={etcd_url}",
            f"--advertise-client-urls={etcd_url}",
            "--listen-peer-urls=http://127.0.0.1:0",
            "--unsafe-no-fsync",  # the data is thrown away
            "--log-level=warn",
        )
        self._await(processes, "etcd", f"{etcd_url}/health", deadline)
        processes.start(
            "kube-apiserver",
            self.binaries.kube_apiserver,
            f"--etcd-servers={etcd_url}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            f"--secure-port={port}",
            f"--cert-dir={self.folder}",
            f"--tls-cert-file={files.server_certificate}",
            f"--tls-private-key-file={files.server_key}",
            f"--client-ca-file={files.ca}",
            f"--service-account-issuer={ISSUER}",
            f"--api-audiences={ISSUER}",
            f"--service-account-key-file={files.service_account_key}",
            f"--service-account-signing-key-file={files.service_account_key}",
            "--authorization-mode=RBAC",
            "--service-cluster-ip-range=10.0.0.0/24",
            "--endpoint-reconciler-type=none",  # its address is loopback, which Endpoints refuse
            *self._api_server_flags,
        )
        self._await(processes, "kube-apiserver", f"{self.url}/readyz", deadline)
        # /readyz does not wait for these, and objects are put there at once.
        for namespace in ("kube-system", "default"):
            self._await(
                processes, "kube-apiserver", f"{self.url}/api/v1/namespaces/{namespace}", deadline
            )
        self._create_default_service_account("default")

    def _stop(self) -> None:
        if self._processes is not None:
            self._processes.stop()
            self._processes = None

    def _await(self, processes: Processes, name: str, url: str, deadline: float) -> None:
        """Ask ``url`` until it answers 200."""
        seen = "no answer yet"
        while True:
            processes.check(name)
            try:
                with self._http.open(url, timeout=5):
                    return
            except urllib.error.HTTPError as error:
                seen = f"HTTP {error.code}: {error.read(2000).decode(errors='replace').strip()}"
            except OSError as error:
                seen = str(error)
            if time.monotonic() > deadline:
                raise ControlPlaneError(
                    f"{name} was not ready after {self._start_seconds:.0f} s: {seen}\n"
                    f"The end of its log:\n{processes.log_tail(name)}"
                )
            time.sleep(0.05)

    def log_tail(self, name: str, lines: int = 20) -> str:
        """Return the last lines of the log of ``etcd`` or ``kube-apiserver``, while it runs."""
        return self._processes.log_tail(name, lines) if self._processes is not None else "(gone)"

    # -- use

    def kubectl(
        self,
        *args: str,
        stdin: str | None = None,
        check: bool = True,
        kubeconfig: Path | None = None,
        timeout_seconds: float = 60.0,
    ) -> subprocess.CompletedProcess[str]:
        """Run the real kubectl against this control plane and no other.

        Args:
            args: Such as ``"get", "pods", "-n", "x"``.
            stdin: Text for ``-f -``.
            check: Raise if kubectl's exit code is not 0.
            kubeconfig: Of somebody else than the administrator: see `kubeconfig_for`.
            timeout_seconds: Raises `subprocess.TimeoutExpired` after this long.

        Raises:
            KubectlError: kubectl failed, and ``check`` is set; holds kubectl's words.
        """
        done = subprocess.run(
            [str(self.binaries.kubectl), *args],
            input=stdin if stdin is not None else "",
            env=self.environment(kubeconfig),
            capture_output=True,
            text=True,
            timeout=timeout_seconds,
            check=False,
        )
        if check and done.returncode != 0:
            raise KubectlError(args, done.returncode, done.stderr)
        return done

    def get(self, path: str) -> dict[str, Any] | None:
        """Return what is at a path of the API, such as ``/api/v1/namespaces``; None: nothing.

        As the administrator, and without a process: kubectl needs ten times as long. For whoever
        asks again and again.

        Raises:
            urllib.error.HTTPError: Any other answer than 200 and 404.
        """
        try:
            return self._request("GET", path)
        except urllib.error.HTTPError as error:
            with error:
                if error.code != 404:
                    raise
            return None

    def _request(
        self, method: str, path: str, body: Manifest | None = None, content: str = "json"
    ) -> dict[str, Any]:
        request = urllib.request.Request(  # noqa: S310 - our own address
            f"{self.url}{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": f"application/{content}"},
        )
        deadline = time.monotonic() + 60
        while True:
            try:
                with self._http.open(request, timeout=60) as answer:
                    document: dict[str, Any] = json.load(answer)
            except urllib.error.HTTPError as error:
                # As every client does: a busy API server says when to come again.
                after = error.headers.get("Retry-After")
                if after is None or time.monotonic() + int(after) > deadline:
                    raise
                error.close()
                time.sleep(int(after))
            else:
                return document

    def _create(self, collection: str, body: Manifest) -> None:
        try:
            self._request("POST", collection, body)
        except urllib.error.HTTPError as error:
            with error:
                seen = error.read(2000).decode(errors="replace").strip()
            name = body["metadata"]["name"]
            raise ControlPlaneError(f"{collection}/{name} cannot be created: {seen}") from None

    def refusal(self, collection: str, body: Manifest) -> str:
        """Return what the API server says against creating an object; empty: it is accepted.

        Nothing is created. Unknown members are refused, as kubectl has it; kubectl itself, a
        process, would need ten times as long.

        Args:
            collection: Path of the API, such as ``/api/v1/namespaces/default/pods``.
            body: The object.
        """
        try:
            self._request("POST", f"{collection}?dryRun=All&fieldValidation=Strict", body)
        except urllib.error.HTTPError as error:
            with error:
                message: str = json.load(error)["message"]
            return message
        return ""

    def environment(self, kubeconfig: Path | None = None) -> dict[str, str]:
        """Return this process's environment, changed so that clients talk to no other API server.

        For kubectl, the operator as a subprocess, and whoever else reads ``KUBECONFIG``.
        """
        theirs = kubeconfig if kubeconfig is not None else self.kubeconfig
        return client_environment(self.binaries.kubectl, theirs, self.folder)

    def apply(self, manifests: str | Path | Manifest | Sequence[Manifest]) -> None:
        """Apply server-side, as the administrator with kubectl.

        Objects are sent as kubectl sends them, but without it: its process asks for everything
        that is served before it sends one object, and needs twenty times as long.

        Args:
            manifests: YAML text; a file, a folder of files, or a folder with a
                ``kustomization.yaml``; one object; or a sequence of objects.

        Raises:
            ControlPlaneError: The API server refuses an object; with its words.
        """
        command = ["apply", "--server-side", "--force-conflicts"]
        if isinstance(manifests, Path):
            kustomized = (manifests / "kustomization.yaml").exists()
            self.kubectl(*command, "-k" if kustomized else "-f", str(manifests))
        elif isinstance(manifests, str):
            self.kubectl(*command, "-f", "-", stdin=manifests)
        else:
            for manifest in [manifests] if isinstance(manifests, Mapping) else manifests:
                self._apply(manifest)

    def _apply(self, manifest: Manifest) -> None:
        place = self._places.of(manifest)
        name = f"{manifest['kind']} {manifest['metadata']['name']}"
        if place is None:
            raise ControlPlaneError(f"{name}: nothing serves {manifest['apiVersion']} of this kind")
        query = "fieldManager=kubectl&force=true&fieldValidation=Strict"
        try:
            self._request("PATCH", f"{place}?{query}", manifest, content="apply-patch+yaml")
        except urllib.error.HTTPError as error:
            with error:
                seen = error.read(2000).decode(errors="replace").strip()
            raise ControlPlaneError(f"{name} cannot be applied: {seen}") from None

    def await_crds(self, seconds: float = 60.0) -> None:
        """Return once every custom resource is served.

        ``kubectl wait`` fails on one that is too new to have a condition.

        Raises:
            ControlPlaneError: Not within ``seconds``.
        """
        deadline = time.monotonic() + seconds
        while waiting := [crd["metadata"]["name"] for crd in self._crds() if not _established(crd)]:
            if time.monotonic() > deadline:
                raise ControlPlaneError(f"not served after {seconds:g} s: {', '.join(waiting)}")
            time.sleep(0.05)

    def _crds(self) -> list[dict[str, Any]]:
        crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        items: list[dict[str, Any]] = self._request("GET", crds)["items"]
        return items

    def create_namespace(self, name: str, labels: Mapping[str, str] | None = None) -> None:
        """Create a namespace and, as kube-controller-manager would, its ServiceAccount ``default``.

        Raises:
            ControlPlaneError: It exists already, or its name is none.
        """
        self._create(
            "/api/v1/namespaces", {"metadata": {"name": name, "labels": {**(labels or {})}}}
        )
        self._create_default_service_account(name)

    def _create_default_service_account(self, namespace: str) -> None:
        accounts = f"/api/v1/namespaces/{namespace}/serviceaccounts"
        self._create(accounts, {"metadata": {"name": "default"}})

    def create_pod(
        self,
        namespace: str,
        name: str,
        *,
        labels: Mapping[str, str],
        ports: Mapping[str, int],
        ip: str = "127.0.0.1",
        ready: bool = True,
        host_network: bool = False,
    ) -> None:
        """Create a Pod object that looks as if a kubelet ran it.

        Args:
            namespace: One made by `create_namespace`.
            name: The pod's name.
            labels: What selectors find it by.
            ports: Container ports by name. Pods may share an address when their numbers differ.
            ip: Its ``podIP``; loopback addresses are accepted here.
            ready: Its condition ``Ready``; see `set_pod_ready` to change it.
            host_network: Whether the pod is on the node's network.
        """
        made = pods.pod(namespace, name, labels, ports, host_network=host_network)
        self._create(f"/api/v1/namespaces/{namespace}/pods", made)
        self.set_pod_ready(namespace, name, ready, ip=ip)

    def set_pod_ready(
        self, namespace: str, name: str, ready: bool, *, ip: str = "127.0.0.1"
    ) -> None:
        """Write a pod's status, as a kubelet would when its readiness changes."""
        status = {"status": pods.status(ip, ready=ready)}
        path = f"/api/v1/namespaces/{namespace}/pods/{name}/status"
        self._request("PATCH", path, status, content="merge-patch+json")

    def token_for(self, namespace: str, service_account: str, seconds: int = 3600) -> str:
        """Return a new token of a ServiceAccount, valid for ``seconds`` (at least 600)."""
        return self.kubectl(
            *("create", "token", service_account),
            *("--namespace", namespace, f"--duration={seconds}s"),
        ).stdout.strip()

    def kubeconfig_for(self, namespace: str, service_account: str, seconds: int = 3600) -> Path:
        """Write a kubeconfig with which a client is that ServiceAccount and may no more than it."""
        user = {"token": self.token_for(namespace, service_account, seconds)}
        return self._write_kubeconfig(f"{namespace}-{service_account}", user, namespace)

    def _write_kubeconfig(
        self, name: str, user: Mapping[str, str], namespace: str = "default"
    ) -> Path:
        context = {"cluster": "licenseusage", "user": name, "namespace": namespace}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": name,
            "clusters": [
                {
                    "name": "licenseusage",
                    "cluster": {"server": self.url, "certificate-authority": str(self.ca_file)},
                }
            ],
            "users": [{"name": name, "user": dict(user)}],
            "contexts": [{"name": name, "context": context}],
        }
        path = self.folder / f"{name}.kubeconfig"
        path.touch(mode=0o600)
        path.write_text(yaml.safe_dump(config, sort_keys=False))
        return path


def _established(crd: Mapping[str, Any]) -> bool:
    conditions = crd.get("status", {}).get("conditions") or ()
    return any(
        condition["type"] == "Established" and condition["status"] == "True"
        for condition in conditions
    )
