"""Command line and receiver start from the image's root, whoever the cluster lets them be."""

import json
import re
import time
import tomllib
from pathlib import Path

import httpx
import pytest

from licenseusage.cli.app import GROUPS
from tests.delivery.people import reports
from tests.image.conftest import DOCKERFILE, ROOT, Pod, User, container, run, volume
from tests.receiver.people import RECEIPT_KEY, VENDOR_KEYS


def test_the_image_says_who_starts_what(image) -> None:
    assert image.user == "65532:65532"
    assert [*image.entrypoint, *image.command] == ["licenseusage", "operator"]
    assert f"USER {image.user}" in DOCKERFILE.read_text()


def test_a_group_of_the_clusters_choice_will_do_too(image) -> None:
    openshift = User("without runAsGroup", 1_000_730_000, 0, 1_000_730_000)
    done = run(container(image, openshift), "sh", "-c", "id -u; id -g; licenseusage version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split()[:2] == ["1000730000", "0"]


def test_nothing_in_the_image_knows_its_user(image, user: User) -> None:
    done = run(container(image, user), "python", "-c", "import pwd, os; pwd.getpwuid(os.getuid())")
    assert f"uid not found: {user.uid}" in done.stderr


def test_a_container_has_the_environment_it_was_given_and_no_more(image, user: User) -> None:
    listed = run(container(image, user), "env").stdout.splitlines()
    assert dict(line.split("=", 1) for line in listed) == image.environment


def test_a_container_writes_to_tmp_and_to_its_volume_only(image, user: User, tmp_path) -> None:
    ledger = volume(tmp_path / "volume", user)
    writes = "for d in / /opt/licenseusage /var/tmp /tmp /data; do touch $d/x && echo $d; done"
    done = run(container(image, user, volumes={"/data": ledger}), "sh", "-c", writes)
    assert done.stdout.split() == ["/tmp", "/data"]
    assert done.stderr.count("Read-only file system") == 3


def test_the_version_is_the_checkouts(image, user: User) -> None:
    shown = run(container(image, user), "licenseusage", "version", "--output", "json")
    assert (shown.returncode, shown.stderr) == (0, "")
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert json.loads(shown.stdout)["version"] == declared


def test_the_presets_are_in_the_image(image, user: User) -> None:
    shown = run(container(image, user), "licenseusage", "preset", "list")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert {"OpenCloud", "JupyterHub", "Standard"} <= set(re.findall(r"^\w+", shown.stdout, re.M))


def test_a_report_is_shown(image, user: User, tmp_path) -> None:
    (token,) = reports(1)
    (tmp_path / "report.jwt").write_text(token)
    tmp_path.chmod(0o755)
    given = container(image, user, files={"/reports": tmp_path})
    shown = run(given, "licenseusage", "report", "show", "/reports/report.jwt")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "collab/production" in shown.stdout


EVERY_GROUP = """
import sys
from licenseusage.cli import main
for group in sys.argv[1:]:
    sys.argv = ["licenseusage", group, "--help"]
    try:
        main()
    except SystemExit as ended:
        assert not ended.code, group
"""


def test_every_group_of_commands_can_be_loaded(image, user: User) -> None:
    groups = run(container(image, user), "licenseusage", "--help").stdout
    names = [name for name in re.findall(r"^  ([a-z]+)  ", groups, re.M) if name in GROUPS]
    assert set(names) == GROUPS.keys()
    loaded = run(container(image, user), "python", "-c", EVERY_GROUP, *names)
    assert (loaded.returncode, loaded.stderr) == (0, "")
    assert re.findall(r"^Usage: licenseusage ([a-z]+) ", loaded.stdout, re.M) == names


def test_as_a_kubectl_plugin(image, user: User) -> None:
    shown = run(container(image, user), "kubectl-licenseusage", "version")
    assert (shown.returncode, shown.stderr) == (0, "")


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    folder = tmp_path / "keys"
    folder.mkdir()
    (folder / "jwks.json").write_text(VENDOR_KEYS.to_jwks())
    (folder / "receipt.jwk").write_text(RECEIPT_KEY.to_jwk())
    return folder


def test_the_receiver_serves_and_ends_on_request(image, user: User, keys, tmp_path) -> None:
    given = container(
        image,
        user,
        environment={
            "LICENSEUSAGE_RECEIVER_KEYS": "/keys",
            "LICENSEUSAGE_RECEIVER_ADDRESS": "127.0.0.1:0",
            "LICENSEUSAGE_RECEIVER_DATABASE_URL": "sqlite:////data/receiver.sqlite",
        },
        volumes={"/data": volume(tmp_path / "data", user)},
        files={"/keys": keys},
    )
    pod = Pod.start(given, ["licenseusage", "receiver"], tmp_path / "receiver.log")
    try:
        deadline = time.monotonic() + 60
        while not (found := re.search(r"receiver: (http://127\.0\.0\.1:\d+)/ ", pod.told())):
            assert pod.process.poll() is None, pod.told()
            assert time.monotonic() < deadline, pod.told()
            time.sleep(0.1)
        answer = httpx.get(f"{found[1]}/healthz", trust_env=False)
        code = pod.terminate()
    finally:
        pod.kill()
    assert answer.status_code == 200
    assert code in (0, 128 + 15), pod.told()  # uvicorn repeats the signal that ended it
    assert "Traceback" not in pod.told()
