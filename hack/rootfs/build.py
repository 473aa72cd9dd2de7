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
from hack.rootfs.base import CERTIFICATES, HOST, Base
from hack.rootfs.container import Container, NoContainers, refused
from hack.rootfs.context import Context
from hack.rootfs.dockerfile import (
    Instruction,
    NotUnderstood,
    Stage,
    assignments,
    expanded,
    labels,
    read,
)
from hack.rootfs.kept import Kept, copy_tree


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
        ports: Its EXPOSE.
        labels: Its LABELs.
        copied: Places that its last stage has COPY fill; nothing else of it is made by us.
    """

    root: Path
    environment: Mapping[str, str]
    user: str
    entrypoint: list[str]
    command: list[str]
    ports: list[str]
    labels: Mapping[str, str]
    copied: list[PurePosixPath]


def build(
    context: Path,
    dockerfile: Path,
    progress: Progress,
    *,
    base: Base = HOST,
    arguments: Mapping[str, str] | None = None,
) -> Image:
    """Return the image, made now if nothing like it is kept.

    Args:
        context: What COPY copies from.
        dockerfile: What is followed.
        progress: Is told of each RUN.
        base: What every stage begins with.
        arguments: Values of the Dockerfile's ARGs, instead of its own.

    Raises:
        NoContainers: Steps cannot be run on this machine.
        StepFailed: A RUN failed.
        NotUnderstood: The Dockerfile has an instruction that is not known here, or not the ARG.
    """
    if reason := refused():
        raise NoContainers(reason)
    stages = read(dockerfile.read_text(), arguments)
    with Kept.opened(base) as kept:
        return _Build(Context(context), stages, kept, progress, base).image()


@dataclass(frozen=True, slots=True)
class _State:
    """What is known between two steps of a stage; ``key`` tells all that went in so far."""

    key: str
    environment: Mapping[str, str]
    arguments: Mapping[str, str] = field(default_factory=dict)
    folder: str = "/"
    user: str = ""
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)
    ports: list[str] = field(default_factory=list)
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def variables(self) -> Mapping[str, str]:
        """What ``$NAME`` means; ENV is stronger than ARG."""
        return {**self.arguments, **self.environment}

    def after(self, step: Instruction, copied: str) -> "_State":
        """Return the state after ``step``, which copies what has the digest ``copied``."""
        match step.name:
            case "ARG":  # a RUN sees it, and nothing else is changed by it
                name, _, value = step.rest.partition("=")
                return replace(self, arguments={**self.arguments, name: value})
            case "LABEL":
                added = labels(step, self.variables)
                return replace(self, labels={**self.labels, **added})
            case "EXPOSE":
                return replace(self, ports=[*self.ports, *step.words()])
        seen = repr(sorted(self.arguments.items())) if step.name == "RUN" else ""
        key = _digest(self.key, step.name, step.rest, copied, seen)
        match step.name:
            case "ENV":
                added = assignments(step, self.variables)
                return replace(self, key=key, environment={**self.environment, **added})
            case "WORKDIR":
                return replace(self, key=key, folder=str(self.path(step.rest)))
            case "USER":
                return replace(self, key=key, user=expanded(step.rest, self.variables))
            case "ENTRYPOINT":
                return replace(self, key=key, entrypoint=step.words())
            case "CMD":
                return replace(self, key=key, command=step.words())
            case _:
                return replace(self, key=key)

    def path(self, text: str) -> PurePosixPath:
        """Return the place in the root that a path of an instruction means."""
        return PurePosixPath(self.folder) / expanded(text, self.variables)


class _Build:
    def __init__(
        self, context: Context, stages: list[Stage], kept: Kept, progress: Progress, base: Base
    ) -> None:
        self._context, self._kept, self._progress = context, kept, progress
        self._base = base
        self._stages = {stage.name: stage for stage in stages}
        self._states: dict[str, list[_State]] = {}
        for stage in stages:
            self._states[stage.name] = self._plan(stage)

    def image(self) -> Image:
        stage = list(self._stages.values())[-1]
        final = self._states[stage.name][-1]
        root = self._made(stage)
        return Image(
            root=root,
            environment=final.environment,
            user=final.user,
            entrypoint=final.entrypoint,
            command=final.command,
            ports=final.ports,
            labels=final.labels,
            copied=self._copied(stage),
        )

    def _copied(self, stage: Stage) -> list[PurePosixPath]:
        """Return where the last stage's COPYs put something."""
        made = []
        for step, state in zip(stage.steps, self._states[stage.name], strict=False):
            if step.name == "RUN":
                raise NotUnderstood(f"line {step.line}: a RUN in the last stage is not followed")
            if step.name == "COPY":
                made.append(state.path(_copy_arguments(step)[2]))
        return made

    def _plan(self, stage: Stage) -> list[_State]:
        """Return the state before each step and after the last; nothing is done yet."""
        path = {"PATH": self._base.path}
        states = [_State(_digest(self._base.identity(), stage.base), path)]
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
            environment={**_callers_settings(), **state.variables},
            uid=0,
            gid=0,
            folder=state.folder,
            read_only=False,
            base=self._base,
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
        if name in CERTIFICATES or name.lower().endswith("_proxy"):
            settings[name] = value
    return settings
