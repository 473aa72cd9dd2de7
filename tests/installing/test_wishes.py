"""What the caller of `make e2e` may say, and where the image comes from."""

import subprocess
from pathlib import Path

import pytest

from hack.e2e.errors import Failed, Refused
from hack.e2e.image import Image
from hack.e2e.settings import read
from hack.e2e.supply import Supply, bring, decided
from hack.e2e.target import Target

ROOT = Path(__file__).resolve().parents[2]
DIGEST = "sha256:" + "0" * 64
KIND = Target("kind-licenseusage", "kind-licenseusage", "https://127.0.0.1:6443")
OTHER = Target("trial", "c", "https://10.0.0.1:6443")


@pytest.mark.parametrize(
    ("text", "repository", "tag", "digest"),
    [
        ("licenseusage:dev", "licenseusage", "dev", ""),
        ("localhost:5000/a/b:1.0", "localhost:5000/a/b", "1.0", ""),
        (f"r.example.org/a@{DIGEST}", "r.example.org/a", "", DIGEST),
        (f"r.example.org/a:1@{DIGEST}", "r.example.org/a", "", DIGEST),
    ],
)
def test_an_image_has_a_repository_and_a_tag_or_a_digest(text, repository, tag, digest):
    assert Image.parse(text) == Image(repository, tag, digest)


@pytest.mark.parametrize("text", ["", "licenseusage", "a b:1", "localhost:5000/a", "a@sha256:12"])
def test_any_other_image_is_refused_by_its_name(text):
    with pytest.raises(Refused, match=f"IMAGE={text}: "):
        Image.parse(text)


def test_an_image_by_digest_has_no_tag_in_manifest_and_chart():
    image = Image.parse(f"r.example.org/a:1@{DIGEST}")
    assert image.kustomized("licenseusage") == {
        "name": "licenseusage",
        "newName": "r.example.org/a",
        "digest": DIGEST,
    }
    assert image.values() == {"repository": "r.example.org/a", "digest": DIGEST}


def test_for_kind_an_image_that_nobody_named_is_built_and_loaded():
    supply = decided(KIND, {}, image_given=False)
    assert supply.build == "make image"
    assert (supply.load or "").startswith("kind load docker-image ")


def test_for_kind_a_named_image_is_loaded_and_not_built():
    assert decided(KIND, {}, image_given=True).build is None
    assert decided(KIND, {}, image_given=True).load is not None


def test_elsewhere_a_named_image_is_there_already():
    assert decided(OTHER, {}, image_given=True) == Supply(None, None)


def test_elsewhere_an_image_that_nobody_named_needs_a_way_to_come():
    with pytest.raises(Refused, match=r"context trial: .*IMAGE=.*E2E_LOAD="):
        decided(OTHER, {}, image_given=False)


def test_commands_of_the_caller_win_and_an_empty_one_does_nothing():
    own = decided(KIND, {"E2E_LOAD": "load", "E2E_BUILD": ""}, image_given=False)
    assert own == Supply(None, "load")


def test_commands_get_image_and_cluster(tmp_path):
    said = tmp_path / "said"
    supply = Supply(None, f'echo "$IMAGE $CLUSTER $E2E_CONTEXT" > {said}')
    bring(supply, KIND, Image("licenseusage", "dev"))
    assert said.read_text() == "licenseusage:dev licenseusage kind-licenseusage\n"


def test_a_command_that_fails_is_named_with_its_exit_code():
    with pytest.raises(Failed, match="E2E_LOAD, exit 7: exit code 7"):
        bring(Supply("true", "exit 7"), KIND, Image("licenseusage", "dev"))


@pytest.mark.parametrize("name", ["E2E_BUILD", "E2E_LOAD"])
@pytest.mark.parametrize("said", ['load "$IMAGE"', ""])
def test_make_passes_a_command_on_as_it_was_written(name, said):
    assert shown_by_make(f"{name}={said}")[name] == said


def test_make_sets_nothing_that_the_caller_has_not_set():
    assert not {"E2E_BUILD", "E2E_LOAD", "IMAGE"} & shown_by_make().keys()


def shown_by_make(*given: str) -> dict[str, str]:
    """The environment of a recipe of the Makefile."""
    shown = ["make", "--silent", "--eval=shown-environment: ; @env -0", "shown-environment", *given]
    printed = subprocess.run(shown, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return dict(line.split("=", 1) for line in printed.split("\0") if line)


def test_without_wishes_both_ways_are_gone_with_the_image_of_make_image():
    settings = read([], {}, ROOT)
    assert settings.ways == ("overlay", "chart")
    assert (str(settings.image), settings.image_given) == ("licenseusage:dev", False)


def test_an_empty_variable_of_make_names_no_image():
    assert read([], {"IMAGE": ""}, ROOT).image_given is False
    assert read([], {"IMAGE": "licenseusage:dev"}, ROOT).image_given is True


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--from-image", "a:1"], "--from-tree and --from-image go together"),
        (["--from-tree", "/", "--from-image", "a:1"], "there is no manifests/base in it"),
        (["--keep"], "--keep needs --only"),
    ],
)
def test_wishes_that_contradict_each_other_are_refused(arguments, said):
    with pytest.raises(Refused, match=said):
        read(arguments, {}, ROOT)
