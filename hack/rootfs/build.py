"""Follow a Dockerfile: each stage in a root of its own, each RUN in a container of it.

What a RUN has made is kept by a digest of all that went in, as container builders do: a change of
the code installs no package again, and without a change there is nothing to do.
"""

import ast
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path, PurePosixPath

from hack.controlplane.progress import Progress
from hack.rootfs import base
from hack.rootfs.container import Container, NoContainers, refused
from hack.rootfs.context import Context
from hack.rootfs.dockerfile import Instruction, Stage, assignments, expanded, read
from hack.rootfs.kept import Kept, copy_tree

_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE")


class StepFailed(Exception):
    """A RUN ended with an error; the message has its line and what it said."""


@dataclass(frozen=True, slots=True)
class Image:
    """A root file system and what the Dockerfile says about starting it.

    Attributes:
        root: The folder; must not be written to.
        environment: Its ENV, ``PATH`` included.
        user: Its USER, as written there.
        entrypoint: Its ENTRYPOINT.
        command: Its CMD.
    """

    root: Path
    environment: Mapping[str, str]
    user: str
    entrypoint: list[str]
    command: list[str]


def build(context: Path, dockerfile: Path, progress: Progress) -> Image:
    """Return the image, made now if nothing like it is kept.

    Raises:
        NoContainers: Steps cannot be run on this machine.
        StepFailed: A RUN failed.
        NotUnderstood: The Dockerfile has an instruction that is not known here.
    """
    if reason := refused():
        raise NoContainers(reason)
    with Kept.opened() as kept:
        stages = read(dockerfile.read_text())
        return _Build(Context(context), stages, kept, progress).image()


@dataclass(frozen=True, slots=True)
class _State:
    """What is known between two steps of a stage; ``key`` tells all that went in so far."""

    key: str
    environment: Mapping[str, str] = field(default_factory=lambda: {"PATH": base.PATH})
    folder: str = "/"
    user: str = ""
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)

    def after(self, step: Instruction, copied: str) -> "_State":
        """Return the state after ``step``, which copies what has the digest ``copied``."""
        key = _digest(self.key, step.name, step.rest, copied)
        match step.name:
            case "ENV":
                added = assignments(step, self.environment)
                return replace(self, key=key, environment={**self.environment, **added})
            case "WORKDIR":
                return replace(self, key=key, folder=str(self.path(step.rest)))
            case "USER":
                return replace(self, key=key, user=expanded(step.rest, self.environment))
            case "ENTRYPOINT":
                return replace(self, key=key, entrypoint=step.words())
            case "CMD":
                return replace(self, key=key, command=step.words())
            case _:
                return replace(self, key=key)

    def path(self, text: str) -> PurePosixPath:
        """Return the place in the root that a path of an instruction means."""
        return PurePosixPath(self.folder) / expanded(text, self.environment)


class _Build:
    def __init__(
        self, context: Context, stages: list[Stage], kept: Kept, progress: Progress
    ) -> None:
        self._context, self._kept, self._progress = context, kept, progress
        self._stages = {stage.name: stage for stage in stages}
        self._states: dict[str, list[_State]] = {}
        for stage in stages:
            self._states[stage.name] = self._plan(stage)

    def image(self) -> Image:
        stage = list(self._stages.values())[-1]
        final = self._states[stage.name][-1]
        root = self._made(stage)
        return Image(root, final.environment, final.user, final.entrypoint, final.command)

    def _plan(self, stage: Stage) -> list[_State]:
        """Return the state before each step and after the last; nothing is done yet."""
        states = [_State(_digest(base.identity(), stage.base))]
        for step in stage.steps:
            states.append(states[-1].after(step, self._digest_of_copy(step)))
        return states

    def _digest_of_copy(self, step: Instruction) -> str:
        if step.name != "COPY":
            return ""
        stage, sources, _ = _copy_arguments(step)
        if stage:
            return self._states[stage][-1].key
        return "".join(self._context.digest(source) for source in sources)

    def _made(self, stage: Stage) -> Path:
        """Return the root of a stage; what is not kept of it is made, from RUN to RUN."""
        states = self._states[stage.name]
        ends = [index for index, step in enumerate(stage.steps, 1) if step.name == "RUN"]
        ends = sorted({*ends, len(stage.steps)})
        done = max((end for end in ends if self._kept.has(states[end].key)), default=0)
        for begin, end in pairwise([done, *(end for end in ends if end > done)]):
            root = self._kept.work(states[begin].key if begin else None)
            for index in range(begin, end):
                self._perform(stage.steps[index], states[index], root)
            self._kept.keep(root, states[end].key)
        return self._kept.root(states[-1].key)

    def _perform(self, step: Instruction, state: _State, root: Path) -> None:
        match step.name:
            case "WORKDIR":
                _below(root, state.path(step.rest)).mkdir(parents=True, exist_ok=True)
            case "COPY":
                self._copy(step, state, root)
            case "RUN":
                self._run(step, state, root)

    def _copy(self, step: Instruction, state: _State, root: Path) -> None:
        name, sources, to = _copy_arguments(step)
        target = _below(root, state.path(to))
        into = to.endswith("/")
        for source in sources:
            if not name:
                self._context.copy(source, target, into=into)
                continue
            made = _below(self._made(self._stages[name]), PurePosixPath(source))
            if made.is_dir():
                copy_tree(made, target)
            else:
                place = target / made.name if into else target
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(made, place)

    def _run(self, step: Instruction, state: _State, root: Path) -> None:
        container = Container(
            root=root,
            environment={**_callers_settings(), **state.environment},
            uid=0,
            gid=0,
            folder=state.folder,
            read_only=False,
        )
        with self._progress.step(f"RUN of line {step.line}"):
            done = subprocess.run(
                container.command(["/bin/sh", "-c", step.rest]),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
        if done.returncode != 0:
            raise StepFailed(f"RUN of line {step.line}: exit {done.returncode}\n{done.stdout}")


def _copy_arguments(step: Instruction) -> tuple[str, list[str], str]:
    """Return the stage that is copied from ("" is the context), sources, and target."""
    words = step.words()
    name = words.pop(0).removeprefix("--from=") if words[0].startswith("--from=") else ""
    return name, words[:-1], words[-1]


def _below(root: Path, place: PurePosixPath) -> Path:
    return root / place.relative_to("/")


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _callers_settings() -> dict[str, str]:
    """How this machine reaches a package index: pip's settings, whatever file they are in.

    Builders are told of them in their own ways; they are nothing of the image's.
    """
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True
    )
    settings = {}
    for line in listed.stdout.splitlines():
        name, equals, value = line.partition("=")
        section, _, option = name.rpartition(".")
        if equals and section in ("global", "install", ":env:"):
            settings[f"PIP_{option.upper().replace('-', '_')}"] = str(ast.literal_eval(value))
    for name, value in os.environ.items():
        if name in _CERTIFICATES or name.lower().endswith("_proxy"):
            settings[name] = value
    return settings
