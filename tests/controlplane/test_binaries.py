import io
import os
import re
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from hack.controlplane import ControlPlaneError, find, versions
from hack.controlplane.archive import BASE_URL, Releases
from hack.controlplane.binaries import built_name, cache_folder
from hack.controlplane.build import programs as built_programs
from hack.controlplane.progress import Progress

# Loaded by pytest as conftest; what it defines is shared through its fixtures and these names.
from tests.controlplane.conftest import PLATFORM, VERSION, ArchiveServer, Machine, archive

NO_RELEASES = Releases(sha512={})
ALL = ("etcd", "kube-apiserver", "kubectl")


def look(machine, releases=NO_RELEASES, progress=None, **env):
    return find(
        {**machine.env, **env},
        progress=progress or Progress(io.StringIO()),
        releases=releases,
        platform=PLATFORM,
    )


def cached_build(machine: Machine, kubernetes: str = versions.KUBERNETES) -> Path:
    folder = machine.cache / built_name(PLATFORM, kubernetes)
    folder.mkdir(parents=True)
    for name in ALL:
        (folder / name).touch(mode=0o755)
    return folder


# -- the order


def test_assets_come_first(machine, programs, archive_server):
    cached_build(machine)
    folder = programs(*ALL)
    found = look(machine, archive_server.releases(), KUBEBUILDER_ASSETS=str(folder))
    assert found.folder == folder
    assert found.kubectl == folder / "kubectl"
    assert archive_server.asked == []


def test_assets_that_lack_a_program_are_an_error_that_names_it(machine, programs):
    cached_build(machine)
    folder = programs("etcd", "kubectl")
    with pytest.raises(ControlPlaneError, match=f"{folder} has no executable kube-apiserver"):
        look(machine, KUBEBUILDER_ASSETS=str(folder))


def test_the_cache_comes_before_archive_and_build(machine, archive_server):
    machine.install_go()
    folder = cached_build(machine)
    assert look(machine, archive_server.releases()).folder == folder
    assert archive_server.asked == []
    assert machine.calls == []


def test_the_archive_comes_before_a_build_and_is_kept(machine, archive_server):
    machine.install_go()
    found = look(machine, archive_server.releases())
    assert sorted(path.name for path in found.folder.iterdir()) == sorted(ALL)
    assert all(os.access(found.folder / name, os.X_OK) for name in ALL)
    name = f"/envtest-v{VERSION}/envtest-v{VERSION}-linux-amd64.tar.gz"
    assert archive_server.asked == [name]
    assert machine.calls == []
    assert look(machine, archive_server.releases()).folder == found.folder
    assert archive_server.asked == [name]


def test_an_empty_entry_in_the_table_skips_the_archive(machine, archive_server):
    machine.install_go()
    found = look(machine, archive_server.releases(sha512=""))
    assert archive_server.asked == []
    assert found.folder == machine.cache / built_name(PLATFORM)


def test_a_build_uses_the_committed_modules_as_they_are(machine):
    machine.install_go()
    look(machine)
    root = Path(versions.__file__).parent
    folders = [call.split()[0] for call in machine.calls]
    assert folders == [str(root / "etcd"), *[str(root / f"kubernetes/{versions.KUBERNETES}")] * 2]
    assert all("-mod=readonly" in call and "-trimpath" in call for call in machine.calls)
    assert f"gitVersion=v{versions.KUBERNETES}" in machine.calls[1]


def test_a_build_is_kept(machine):
    machine.install_go()
    first = look(machine)
    assert look(machine).folder == first.folder
    assert len(machine.calls) == 3


# -- the version is a parameter


@pytest.mark.parametrize("version", versions.BUILDS)
def test_the_version_asked_for_is_built_from_its_own_modules(machine, archive_server, version):
    machine.install_go()
    found = look(machine, archive_server.releases(), CONTROLPLANE_VERSION=version)
    assert found.folder == machine.cache / built_name(PLATFORM, version)
    assert archive_server.asked == []  # the release of these tests is another version
    assert f"gitVersion=v{version}" in machine.calls[1]
    assert f"kubernetes/{version} " in machine.calls[1]


def test_the_version_asked_for_is_fetched_if_it_is_the_release(machine, archive_server):
    version = versions.ENVTEST
    releases = replace(archive_server.releases(), version=version)
    found = look(machine, releases, CONTROLPLANE_VERSION=f"v{version}")
    assert found.folder == machine.cache / f"envtest-{version}-linux-amd64"


def test_another_version_in_the_cache_is_not_what_was_asked_for(machine, archive_server):
    machine.install_go()
    other, wanted = versions.BUILDS
    cached_build(machine, other)
    assert wanted in look(machine, CONTROLPLANE_VERSION=wanted).folder.name


def test_an_unknown_version_is_refused_with_those_that_are_known(machine):
    with pytest.raises(
        ControlPlaneError, match=r"CONTROLPLANE_VERSION=1\.9\.9 .* 1\.37\.2 and 1\.36"
    ):
        look(machine, CONTROLPLANE_VERSION="1.9.9")


def test_the_release_that_is_fetched_can_be_built_too():
    assert versions.ENVTEST in versions.BUILDS
    assert versions.KUBERNETES in versions.BUILDS


# -- the archive


def test_every_platform_has_the_checksum_of_its_own_archive():
    systems = {f"{system}/{arch}" for system in ("linux", "darwin") for arch in ("amd64", "arm64")}
    sums = versions.ENVTEST_SHA512
    assert set(sums) == systems
    assert all(re.fullmatch("[0-9a-f]{128}", told) for told in sums.values())
    assert len(set(sums.values())) == len(systems)


def test_an_archive_of_this_machine_is_fetched_from_the_committed_release(machine, archive_server):
    releases = Releases(archive_server.url)
    with pytest.raises(ControlPlaneError, match=versions.ENVTEST_SHA512[str(PLATFORM)]):
        look(machine, releases)  # it serves other bytes than the published ones
    tag = f"envtest-v{versions.ENVTEST}"
    assert archive_server.asked == [f"/{tag}/{tag}-linux-amd64.tar.gz"]


def test_nothing_of_an_archive_is_looked_at_before_its_checksum_is_right(machine, archive_server):
    archive_server.body = b"no archive at all"
    with pytest.raises(ControlPlaneError, match="It was not used"):
        look(machine, archive_server.releases(sha512="0" * 128))


def test_a_wrong_checksum_is_refused_and_nothing_is_kept_or_built(machine, archive_server):
    machine.install_go()
    with pytest.raises(ControlPlaneError, match="It was not used"):
        look(machine, archive_server.releases(sha512="0" * 128))
    assert [path.name for path in machine.cache.iterdir()] == ["lock"]
    assert machine.calls == []


def test_a_server_that_never_answers_is_given_up(machine, archive_server: ArchiveServer):
    machine.install_go()
    archive_server.mute = True
    said = io.StringIO()
    found = look(machine, archive_server.releases(answer_seconds=0.2), Progress(said))
    assert "built" in found.source
    assert "building instead" in said.getvalue()


def test_an_answer_is_waited_for_10_seconds():
    assert Releases.from_env({}).answer_seconds == 10


def test_a_missing_archive_leads_to_a_build(machine, archive_server):
    machine.install_go()
    archive_server.status = 404
    assert "built" in look(machine, archive_server.releases()).source


def test_an_archive_without_all_programs_is_an_error(machine, archive_server):
    archive_server.body = archive("envtest/etcd", "envtest/kubectl")
    with pytest.raises(ControlPlaneError, match="kube-apiserver missing"):
        look(machine, archive_server.releases())
    assert [path.name for path in machine.cache.iterdir()] == ["lock"]


def test_paths_in_an_archive_are_not_followed(machine, archive_server):
    archive_server.body = archive("../../etcd", "/tmp/kube-apiserver", "kubectl", "../evil")
    found = look(machine, archive_server.releases())
    assert sorted(path.name for path in found.folder.iterdir()) == sorted(ALL)
    assert not list(machine.folder.rglob("evil"))


def test_a_mirror_may_be_named_but_not_its_checksums(machine):
    assert Releases.from_env({}).base_url == BASE_URL
    mirror = Releases.from_env({"LICENSEUSAGE_ENVTEST_URL": "http://127.0.0.1:1/mirror/"})
    assert mirror.url(PLATFORM).startswith("http://127.0.0.1:1/mirror/envtest-v")
    assert mirror.sha512 is versions.ENVTEST_SHA512


# -- nothing to be had


def test_without_network_and_go_the_message_says_what_to_install(machine, archive_server):
    refusing = Releases("http://127.0.0.1:1", VERSION, {str(PLATFORM): "0" * 128})
    with pytest.raises(ControlPlaneError) as caught:
        find(
            {"HOME": str(machine.folder), "PATH": str(machine.folder)},
            progress=Progress(io.StringIO()),
            releases=refusing,
            platform=PLATFORM,
        )
    message = str(caught.value)
    assert "no go command in PATH" in message
    for way in ("go online once", "install Go >= 1.26", "KUBEBUILDER_ASSETS", "8 to 16 minutes"):
        assert way in message
    assert "Connection refused" in message


@pytest.mark.parametrize("version", ["go1.25.9", "devel-unknown"])
def test_a_go_that_is_too_old_is_named(machine, version):
    machine.install_go(version)
    with pytest.raises(ControlPlaneError, match=rf"is {version}, but Go >= 1.26 is needed"):
        look(machine)


def test_a_failed_build_repeats_what_go_said_and_leaves_nothing(machine):
    machine.install_go(build='echo "dial tcp: lookup proxy: no such host" >&2; exit 1')
    with pytest.raises(ControlPlaneError, match="no such host"):
        look(machine)
    assert [path.name for path in machine.cache.iterdir()] == ["lock"]


# -- the cache


def test_two_at_once_build_once(machine):
    machine.install_go()
    threads = [threading.Thread(target=look, args=(machine,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(machine.calls) == 3


def test_the_cache_follows_xdg_and_ignores_a_relative_path():
    assert cache_folder({"XDG_CACHE_HOME": "/c", "HOME": "/h"}) == Path(
        "/c/licenseusage/controlplane"
    )
    assert cache_folder({"XDG_CACHE_HOME": "c", "HOME": "/h"}).is_relative_to("/h/.cache")


@pytest.mark.parametrize("version", versions.BUILDS)
def test_versions_are_those_of_the_committed_modules(version):
    root = Path(versions.__file__).parent
    etcd = (root / "etcd/go.mod").read_text()
    kubernetes = (root / f"kubernetes/{version}/go.mod").read_text()
    assert f"go.etcd.io/etcd/server/v3 v{versions.ETCD}\n" in etcd
    assert f"require k8s.io/kubernetes v{version}\n" in kubernetes
    for module in (etcd, kubernetes):
        needed = re.search(r"^go (\d+)\.(\d+)", module, re.M)
        assert versions.GO == tuple(map(int, needed.groups()))
    assert all(told in built_name(PLATFORM, version) for told in (versions.ETCD, version))


def test_the_programs_are_those_that_are_looked_for():
    for version in versions.BUILDS:
        assert tuple(program.name for program in built_programs(version)) == versions.NAMES
