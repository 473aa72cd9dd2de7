"""``report import --directory``: what a tool, or a mounted ConfigMap, leaves in a folder."""

import errno
import os
import threading
from pathlib import Path

import pytest
import yaml

from licenseusage.cli.documents import MAX_BYTES
from licenseusage.reports.tokens import sign
from licenseusage.reports.typs import BUNDLE
from tests.cli.cluster import CHAIN_NAMESPACE, TOKENS, Cluster, report, text
from tests.delivery.people import INSTALLATION_KEY, VendorDesk


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    folder = tmp_path / "bin"
    folder.mkdir()
    return Cluster(folder, monkeypatch)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "receipts").mkdir()
    return tmp_path / "receipts"


@pytest.fixture
def look(run, folder, cluster):
    """One run of the CronJob's command."""
    return lambda *more: run("report", "import", "--directory", folder, *more)


@pytest.fixture(scope="module")
def receipts():
    vendor = VendorDesk()
    return [vendor.receipt(token) for token in TOKENS]


def brought(cluster):
    return [made["spec"]["receipts"] for made in cluster.applied]


def test_each_file_is_imported_by_itself(look, folder, cluster, receipts):
    (folder / "october.txt").write_text(text(receipts[0]))
    (folder / "november.txt").write_text(text(*receipts[1:]))
    done = look()
    assert (done.code, done.err) == (0, "")
    assert brought(cluster) == [receipts[1:], receipts[:1]]
    assert {made["metadata"]["namespace"] for made in cluster.applied} == {CHAIN_NAMESPACE}


def test_another_file_beside_it_leaves_its_object_as_it_was(look, folder, cluster, receipts):
    (folder / "october.txt").write_text(text(receipts[0]))
    look()
    before = cluster.applied
    (folder / "november.txt").write_text(text(receipts[1]))
    look()
    assert before[0] in cluster.applied


def test_the_same_file_in_two_folders_makes_one_object(
    look, folder, cluster, receipts, tmp_path_factory
):
    other = tmp_path_factory.mktemp("configmap")
    for place in (folder, other):
        (place / "receipts.txt").write_text(text(*receipts))
    assert look("--directory", other).code == 0
    assert brought(cluster) == [receipts]


def test_objects_are_read_as_well_and_go_where_their_reports_are(look, folder, cluster, receipts):
    given = {
        "kind": "UsageReceipt",
        "metadata": {"name": "x", "namespace": "elsewhere"},
        "spec": {"receipts": receipts},
    }
    (folder / "receipts.yaml").write_text(yaml.safe_dump(given))
    assert look().code == 0
    assert cluster.applied[0]["metadata"]["namespace"] == CHAIN_NAMESPACE


def test_nothing_in_it_is_changed_or_removed(look, folder, cluster, receipts):
    (folder / "receipts.txt").write_text(text(*receipts))
    folder.chmod(0o500)
    before = [(file.name, file.stat().st_mtime_ns) for file in folder.iterdir()]
    assert look().code == 0
    assert [(file.name, file.stat().st_mtime_ns) for file in folder.iterdir()] == before


def test_an_empty_folder_asks_the_cluster_for_nothing(look, folder, cluster):
    done = look()
    assert (done.code, done.err) == (0, "")
    assert "nothing to import" in done.out
    assert not (cluster.folder / "calls").exists()


def test_a_folder_that_does_not_exist_is_named_with_the_fix(look, folder):
    folder.rmdir()
    done = look()
    assert done.code == 3
    assert f"{folder}: No such file or directory" in done.err
    assert "mount the volume there" in done.err


def mounted(folder, **files):
    """Lay files out as the kubelet mounts a ConfigMap."""
    inner = folder / "..2026_11_30"
    inner.mkdir()
    for name, content in files.items():
        (inner / name).write_text(content)
        (folder / name).symlink_to(f"..data/{name}")
    (folder / "..data").symlink_to(inner.name)


def test_a_mounted_configmap_is_read_through_its_links_once(look, folder, cluster, receipts):
    mounted(folder, receipts=text(*receipts).rstrip("\n"))
    done = look()
    assert (done.code, done.err) == (0, "")
    assert brought(cluster) == [receipts]


def _oversized(file, good):
    with file.open("w") as out:
        out.write(good)
        out.truncate(MAX_BYTES + 1)


def _outside(file, good):
    (file.parent.parent / "secret").write_text(good)
    file.symlink_to("../secret")


def _nowhere(file, good):
    file.symlink_to("gone.txt")


def _circle(file, good):
    file.symlink_to(file.name)


@pytest.mark.parametrize(
    ("lay", "words"),
    [
        (_oversized, "longer than 16 MiB"),
        (lambda file, good: file.write_bytes(b"\xff\xfe" + good.encode("utf-16-le")), "not text"),
        (lambda file, good: file.write_text(""), "holds no signed document"),
        (lambda file, good: file.write_text("kind: ConfigMap\n"), "holds no signed document"),
        (lambda file, good: file.write_text("Dear customer,\nthanks.\n"), "is not a receipt"),
        (
            lambda file, good: file.write_text(text(sign(BUNDLE, {"ver": 1}, INSTALLATION_KEY))),
            "it is a bundle",
        ),
        (_outside, "a link out of the folder"),
        (_nowhere, "No such file or directory"),
        (_circle, "Too many levels of symbolic links"),
        (lambda file, good: file.mkdir(), "directly into the folder"),
        (lambda file, good: os.mkfifo(file), "directly into the folder"),
    ],
    ids=[
        "oversized",
        "not-utf-8",
        "empty",
        "other-yaml",
        "a-letter",
        "a-bundle",
        "link-outside",
        "dead-link",
        "circular-link",
        "folder",
        "pipe",
    ],
)
def test_a_bad_file_is_named_and_the_others_are_imported(
    look, folder, cluster, receipts, lay, words
):
    (folder / "good.txt").write_text(text(receipts[1]))
    lay(folder / "bad.txt", text(receipts[0]))
    done = look()
    assert done.code == 1
    assert words in done.err
    assert str(folder / "bad.txt") in done.err
    assert "Traceback" not in done.err
    assert brought(cluster) == [[receipts[1]]]


def test_a_file_that_may_not_be_read_is_named(look, folder, monkeypatch):
    """As a user who is not root would see it."""
    (folder / "bad.txt").write_text("x")
    opened = Path.open

    def refuse(path, *args):
        if path.name == "bad.txt":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return opened(path, *args)

    monkeypatch.setattr(Path, "open", refuse)
    done = look()
    assert done.code == 1
    assert f"{folder}/bad.txt: Permission denied" in done.err


@pytest.mark.parametrize("cut", [1, 40, 87, 200])
def test_a_file_that_is_still_being_written_is_taken_as_far_as_it_is_whole(
    look, folder, cluster, receipts, cut
):
    (folder / "receipts.txt").write_text("\n".join(receipts)[:-cut])
    done = look()
    assert done.code == 1
    assert f"{folder}/receipts.txt:3 is not a receipt" in done.err
    assert brought(cluster) == [receipts[:2]]
    (folder / "receipts.txt").write_text(text(*receipts))
    assert look().code == 0
    assert brought(cluster) == [receipts]


def test_files_that_tools_are_still_writing_and_what_the_file_system_needs_are_left_alone(
    look, folder, receipts
):
    (folder / ".receipts.txt.Xq3b7L").write_text(text(*receipts)[:300])
    (folder / "lost+found").mkdir()
    done = look()
    assert (done.code, done.err) == (0, "")


def test_receipts_of_a_chain_that_is_not_here_are_named(look, folder, cluster, receipts):
    cluster.has()
    (folder / "receipts.txt").write_text(text(receipts[0]))
    done = look()
    assert done.code == 1
    assert f"{folder}/receipts.txt is for" in done.err
    assert "no UsageReport of that chain is here" in done.err


def test_for_one_namespace_receipts_of_another_are_named_and_applied_nowhere(
    look, folder, cluster, receipts
):
    cluster.has(report(TOKENS[0], namespace="theirs"))
    (folder / "receipts.txt").write_text(text(receipts[0]))
    look("--namespace", "theirs")
    assert "--namespace=theirs" in cluster.calls[0]
    assert {made["metadata"]["namespace"] for made in cluster.applied} == {"theirs"}


def test_problems_are_told_though_the_cluster_refuses(look, folder, cluster, receipts):
    (folder / "a.txt").write_text("")
    (folder / "b.txt").write_text(text(receipts[0]))
    (cluster.folder / "refuse").write_text("Error from server (Forbidden): not you")
    done = look()
    assert done.code == 3
    assert f"Not imported: {folder}/a.txt" in done.err
    assert "not you" in done.err


def test_two_runs_at_once_make_the_same_objects(look, folder, cluster, receipts, run_process):
    (folder / "receipts.txt").write_text(text(*receipts))
    results = []
    command = ("report", "import", "--directory", folder)
    runs = [
        threading.Thread(target=lambda: results.append(run_process(*command))) for _ in range(2)
    ]
    for each in runs:
        each.start()
    for each in runs:
        each.join()
    assert [done.code for done in results] == [0, 0]
    assert brought(cluster) == [receipts]


@pytest.mark.parametrize("both", [(), ("receipts.txt",)])
def test_a_file_or_a_folder_is_given(run, folder, both):
    more = ("--directory", folder) if both else ()
    done = run("report", "import", *both, *more)
    assert done.code == 2
    assert "give either FILE or --directory DIR" in " ".join(done.err.split())
