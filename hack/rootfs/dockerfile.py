"""A Dockerfile as data: the instructions that ours uses; any other is an error with its line."""

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field

_KNOWN = frozenset("ARG FROM ENV WORKDIR COPY RUN USER EXPOSE ENTRYPOINT CMD LABEL".split())
_VARIABLE = re.compile(r"\$(?:\{(?P<braced>\w+)\}|(?P<bare>\w+))")


class NotUnderstood(Exception):
    """The Dockerfile uses what this reader does not know; the message has the line."""


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction, its continued lines joined.

    Attributes:
        line: Number of its first line.
        name: In capitals.
        rest: What follows the name.
    """

    line: int
    name: str
    rest: str

    def words(self) -> list[str]:
        """Return the arguments: a JSON array's strings, else what is between spaces."""
        if self.rest.startswith("["):
            arguments: list[str] = json.loads(self.rest)
            return arguments
        return self.rest.split()


@dataclass(frozen=True, slots=True)
class Stage:
    """From one FROM to the next.

    Attributes:
        base: Name of the image it begins with, or of an earlier stage.
        name: Its own; "" if it has none.
        steps: What follows, in order.
    """

    base: str
    name: str
    steps: list[Instruction] = field(default_factory=list)


def read(text: str, given: Mapping[str, str] | None = None) -> list[Stage]:
    """Return the stages of a Dockerfile; an ARG within a stage has its value, as ``NAME=value``.

    Args:
        text: The Dockerfile.
        given: Build arguments, instead of the defaults of ARG.

    Raises:
        NotUnderstood: An instruction is unknown here, or stands where it may not, or there is no
            such argument.
    """
    arguments: dict[str, str] = {}
    stages: list[Stage] = []
    asked: set[str] = set()
    for instruction in _instructions(text):
        match instruction.name:
            case "ARG" if not stages:
                name, _, default = instruction.rest.partition("=")
                asked.add(name)
                arguments[name] = (given or {}).get(name, default)
            case "FROM":
                image, *named = expanded(instruction.rest, arguments).split()
                stages.append(Stage(image, named[1] if len(named) == 2 else ""))
            case "ARG":
                name, equals, default = instruction.rest.partition("=")
                asked.add(name)
                value = (given or {}).get(name, default if equals else arguments.get(name, ""))
                stages[-1].steps.append(Instruction(instruction.line, "ARG", f"{name}={value}"))
            case _ if not stages:
                raise NotUnderstood(f"line {instruction.line}: {instruction.name} stands here")
            case _:
                stages[-1].steps.append(instruction)
    if unknown := sorted(set(given or {}) - asked):
        raise NotUnderstood(f"there is no ARG {unknown[0]}")
    return stages


def expanded(text: str, variables: Mapping[str, str]) -> str:
    """Return ``text`` with ``$NAME`` and ``${NAME}`` replaced; unknown names become empty."""
    return _VARIABLE.sub(lambda m: variables.get(m["braced"] or m["bare"], ""), text)


def assignments(instruction: Instruction, variables: Mapping[str, str]) -> dict[str, str]:
    """Return what an ENV instruction sets, as ``A=1 B=2``.

    Raises:
        NotUnderstood: It is not written that way.
    """
    made = {}
    for word in instruction.words():
        name, equals, value = word.partition("=")
        if not equals or value.startswith(("'", '"')):
            raise NotUnderstood(f"line {instruction.line}: ENV {word}: write NAME=value, unquoted")
        made[name] = expanded(value, variables)
    return made


def labels(instruction: Instruction, variables: Mapping[str, str]) -> dict[str, str]:
    """Return what a LABEL instruction sets, as ``a=1 b="2 3"``.

    Raises:
        NotUnderstood: It is not written that way.
    """
    made = {}
    for word in shlex.split(instruction.rest):
        name, equals, value = word.partition("=")
        if not equals:
            raise NotUnderstood(f"line {instruction.line}: LABEL {word}: write name=value")
        made[name] = expanded(value, variables)
    return made


def _instructions(text: str) -> list[Instruction]:
    made: list[Instruction] = []
    pending, first = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("#") or not line.strip():
            continue
        first = first or number
        if line.rstrip().endswith("\\"):
            pending += line.rstrip()[:-1] + " "
            continue
        name, _, rest = (pending + line).strip().partition(" ")
        if name not in _KNOWN:
            raise NotUnderstood(f"line {first}: {name} is not known to hack/rootfs")
        made.append(Instruction(first, name, " ".join(rest.split())))
        pending, first = "", 0
    return made
