"""Receiver and sample product start from the image's root as their manifests start them.

What a kubelet would mount is mounted where the manifests say, in the form that a kubelet gives it.
Other than there: free ports.
"""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import httpx
import yaml

from hack.controlplane import find, pki
from hack.demo.stage import free_ports
from tests.controller.stage import until
from tests.image.conftest import ROOT, Pod, User, container, environment_of, run, volume
from tests.receiver.people import RECEIPT_KEY, VENDOR_KEYS

PASSWORD, TOKEN = "of the pages", "of the product"
Object = dict[str, Any]


def pod_of(folder: str) -> tuple[Object, list[Object]]:
    """The pod that the Deployment of a folder makes, and all its objects."""
    command = [str(find().kubectl), "kustomize", str(ROOT / folder)]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rendered = list(yaml.safe_load_all(text))
    (deployment,) = [item for item in rendered if item["kind"] == "Deployment"]
    return deployment["spec"]["template"]["spec"], rendered


def projected(folder: Path, texts: dict[str, str], user: User) -> Path:
    """A Secret or ConfigMap as a kubelet mounts it: files behind links, of the pod's group."""
    made = folder / "..2026_12_01"
    made.mkdir(parents=True)
    (folder / "..data").symlink_to(made.name)
    for name, text in texts.items():
        (made / name).write_text(text)
        (made / name).chmod(0o640)
        (folder / name).symlink_to(Path("..data") / name)
        if os.geteuid() == 0:
            os.chown(made / name, 0, user.fs_group)
    folder.chmod(0o755)
    made.chmod(0o755)
    return folder


def mounts(pod: Object, given: dict[str, dict[str, str]], folder: Path, user: User) -> Object:
    """What the containers of a pod have in common: its claims, and texts by the volume's name."""
    at = {mount["name"]: mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]}
    kinds = {each["name"]: each for each in pod["volumes"]}
    claims = [name for name, each in kinds.items() if "persistentVolumeClaim" in each]
    assert {*given, *claims} == {name for name, each in kinds.items() if "emptyDir" not in each}
    assert {"/tmp"} >= {at[name] for name, each in kinds.items() if "emptyDir" in each}
    return {
        "volumes": {at[name]: volume(folder / name, user) for name in claims},
        "files": {at[n]: projected(folder / n, texts, user) for n, texts in given.items()},
    }


def answers(url: str, pod: Pod) -> bool:
    assert pod.process.poll() is None, pod.told()
    try:
        # A kubelet asks by the pod's address, and looks at no certificate.
        headers = {"Host": "10.244.0.7:8443"}
        found = httpx.get(url, headers=headers, verify=False, timeout=5, trust_env=False)
    except httpx.HTTPError:
        return False
    assert found.status_code == 200, found.text
    return True


def test_the_receiver_is_ready_and_shows_its_pages(image, user: User, tmp_path: Path) -> None:
    pod, _ = pod_of("manifests/receiver")
    (only,) = pod["containers"]
    (port,) = free_ports(1)
    (tmp_path / "pki").mkdir()
    tls = pki.create(tmp_path / "pki")
    texts = {
        "keys": {"jwks.json": VENDOR_KEYS.to_jwks(), "receipt.jwk": RECEIPT_KEY.to_jwk()},
        "tls": {
            "tls.crt": tls.server_certificate.read_text(),
            "tls.key": tls.server_key.read_text(),
        },
        "pages": {"password": PASSWORD},
    }
    environment = environment_of(only, {})
    address = environment["LICENSEUSAGE_RECEIVER_ADDRESS"]
    assert address == f"0.0.0.0:{only['ports'][0]['containerPort']}"
    environment["LICENSEUSAGE_RECEIVER_ADDRESS"] = f"127.0.0.1:{port}"
    given = container(
        image, user, environment=environment, **mounts(pod, texts, tmp_path / "pod", user)
    )
    receiver = Pod.start(given, [*image.entrypoint, *only["args"]], tmp_path / "receiver.log")
    probe = only["readinessProbe"]["httpGet"]
    base = f"{probe['scheme'].lower()}://127.0.0.1:{port}"
    try:
        until(lambda: answers(f"{base}{probe['path']}", receiver), 60)
        with httpx.Client(base_url=base, verify=False, trust_env=False) as people:
            assert people.get("/").status_code == 401
            assert people.get("/", auth=("anybody", PASSWORD)).status_code == 200
        code = receiver.terminate()
    finally:
        receiver.kill()
    assert code in (0, 128 + 15), receiver.told()
    assert "Traceback" not in receiver.told()
    assert (tmp_path / "pod" / "documents" / "receiver.sqlite").stat().st_size > 0


def test_the_sample_product_has_people_and_lists_them(image, user: User, tmp_path: Path) -> None:
    pod, rendered = pod_of("examples/product")
    (first,), (only,) = pod["initContainers"], pod["containers"]
    (code,) = [item["data"] for item in rendered if item["kind"] == "ConfigMap"]
    (port,) = free_ports(1)
    shared = mounts(pod, {"code": code, "token": {"token": TOKEN}}, tmp_path / "pod", user)
    given = container(image, user, environment=environment_of(only, {}), **shared)
    few = [*first["command"], *first["args"], "--people=500"]
    written = run(given, *few)
    assert written.returncode == 0, written.stderr
    again = run(given, *few)  # as a kubelet does when the pod's sandbox is made anew
    assert again.stdout.endswith(written.stdout)
    assert "has people already" in again.stdout
    arguments = [re.sub("^--port=8080$", f"--port={port}", each) for each in only["args"]]
    assert arguments != only["args"]
    product = Pod.start(given, [*only["command"], *arguments], tmp_path / "product.log")
    base = f"http://127.0.0.1:{port}"
    try:
        until(lambda: answers(f"{base}{only['readinessProbe']['httpGet']['path']}", product), 60)
        headers = {"Authorization": f"Bearer {TOKEN}"}
        url = f"{base}/.well-known/active-users"
        listed = httpx.get(url, headers=headers, trust_env=False).json()["users"]
    finally:
        product.kill()
    truth = json.loads(written.stdout)
    people = [each for each in listed if not each["id"].startswith(("bot-", "monitoring"))]
    assert len(people) == truth["provisionedUsers"] == 500
    start = truth["cycleStart"]
    assert (start - 1_768_435_200) % (30 * 86_400) == 0, "the cycle of the sample's LicenseUsage"
