"""The command line, run as users run it: a process with arguments, exit code and two streams."""

import io
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from licenseusage.cli import main

Run = Callable[..., "Done"]


@dataclass(frozen=True)
class Done:
    """What came back."""

    code: int
    out: str
    err: str


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command line in this process: ``main`` with its arguments, streams and exit code."""

    def run(*args: object, stdin: str = "", name: str = "licenseusage", **environment: str) -> Done:
        out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8") for _ in range(2))
        with monkeypatch.context() as patch:
            patch.chdir(tmp_path)
            patch.setattr(sys, "argv", [f"/usr/bin/{name}", *map(str, args)])
            patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
            patch.setattr(sys, "stdout", out)
            patch.setattr(sys, "stderr", err)
            for variable, value in {"COLUMNS": "100", **environment}.items():
                patch.setenv(variable, value)
            with pytest.raises(SystemExit) as exit_:
                main()
        return Done(_code(exit_.value), _text(out), _text(err))

    return run


@pytest.fixture
def run_process(tmp_path: Path) -> Run:
    """Run the command line as a process of its own; slower, and nothing is shared."""

    def run(*args: object, umask: int = -1, **environment: str) -> Done:
        done = subprocess.run(
            [sys.executable, "-c", "from licenseusage.cli import main; main()", *map(str, args)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            umask=umask,
            env={**os.environ, "PYTHONWARNINGS": "error", **environment},
            cwd=tmp_path,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    return run


def _code(exit_: SystemExit) -> int:
    return exit_.code if isinstance(exit_.code, int) else 0


def _text(stream: io.TextIOWrapper) -> str:
    stream.seek(0)
    return stream.read()


@pytest.fixture
def keys(run: Run, tmp_path: Path) -> Path:
    """A vendor's key folder."""
    folder = tmp_path / "keys"
    assert run("vendor", "keygen", "-o", folder).code == 0
    return folder


@pytest.fixture
def issue(run: Run, keys: Path) -> Callable[..., Done]:
    """Issue a licence with the least that is needed, and more arguments."""

    def issue(*more: object) -> Done:
        return run(
            *("license", "issue", "--keys", keys, "--vendor", "https://vendor.example"),
            *("--subscription", "sub-1", "--product", "acme", *more),
        )

    return issue
