"""The root file system is what the Dockerfile says, and nothing of it is written down twice."""

import shutil
from pathlib import Path

import pytest

from hack.controlplane.progress import Progress
from hack.rootfs import NoContainers, build
from hack.rootfs.build import StepFailed
from hack.rootfs.context import Context
from hack.rootfs.dockerfile import NotUnderstood, read
from tests.image.conftest import DOCKERFILE, ROOT

TWO_STAGES = """\
FROM none AS build
WORKDIR /src
COPY given ./
RUN date +%N > /first
COPY code code/
RUN cat given code/main > /made
FROM none
COPY --from=build /made /made
ENV PATH=/made:$PATH
USER 1:2
ENTRYPOINT ["a", "b"]
"""


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, image) -> Path:
    """A small build context, and a cache of its own; ``image``: where none can be built, skip."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "context"
    (folder / "code").mkdir(parents=True)
    (folder / ".dockerignore").write_text("*\n!given\n!code\n**/ignored\n")
    (folder / "Dockerfile").write_text(TWO_STAGES)
    (folder / "given").write_text("given ")
    (folder / "code/main").write_text("code")
    (folder / "code/ignored").write_text("?")
    return folder


def made(context: Path):
    return build(context, context / "Dockerfile", Progress(about="test"))


def cached(context: Path, name: str) -> set[Path]:
    return set((context.parent / "cache").glob(f"licenseusage/rootfs/root-*/{name}"))


def test_stages_copies_and_settings_are_followed(context: Path) -> None:
    image = made(context)
    assert (image.root / "made").read_text() == "given code"
    assert not (image.root / "src").exists()
    assert image.environment["PATH"].startswith("/made:/opt/base/bin:")
    assert (image.user, image.entrypoint) == ("1:2", ["a", "b"])


def test_without_a_change_nothing_is_made_again(context: Path) -> None:
    first = made(context)
    (context / "code/ignored").write_text("!")
    assert made(context).root == first.root


def test_a_change_of_code_repeats_only_what_comes_after_it(context: Path) -> None:
    before = made(context)
    times = {path.read_text() for path in cached(context, "first")}
    (context / "code/main").write_text("other code")
    after = made(context)
    assert (after.root / "made").read_text() == "given other code"
    assert (before.root / "made").read_text() == "given code"
    assert {path.read_text() for path in cached(context, "first")} == times
    assert len(times) == 1


def test_a_step_that_fails_is_said_with_its_line_and_words(context: Path) -> None:
    text = TWO_STAGES.replace("date +%N", "echo broken >&2; exit 3; date")
    (context / "Dockerfile").write_text(text)
    with pytest.raises(StepFailed, match=r"line 4: exit 3\nbroken"):
        made(context)
    assert not cached(context, "first")


def test_an_instruction_that_is_not_known_is_an_error_with_its_line() -> None:
    with pytest.raises(NotUnderstood, match="line 3: HEALTHCHECK"):
        read("FROM a\nRUN b\nHEALTHCHECK NONE\n")


def test_what_is_not_in_the_context_cannot_be_copied() -> None:
    with pytest.raises(FileNotFoundError, match=r"\.dockerignore"):
        Context(ROOT).digest("tests")


def test_a_machine_without_namespaces_says_what_is_missing(
    context: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(NoContainers, match="unshare in PATH"):
        made(context)


def test_the_images_own_dockerfile_is_understood() -> None:
    build_stage, final = read(DOCKERFILE.read_text())
    assert build_stage.name == "build"
    assert [step.name for step in final.steps].count("COPY") == 1
