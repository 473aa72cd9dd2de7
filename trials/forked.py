"""Programs of the product that start at once: forks of a process that has imported it.

The operator, the receiver and commands need a second of processor time each for their imports, and
tests and trials start hundreds. So one process per run imports them, and each start is a fork of
it: with arguments, environment, folder and output of its own, and with signals and an exit code as
any other process. `program` writes one for those who start commands by themselves: shells, kubectl.
Programs that are started from nothing are in ``tests/image``, ``tests/receiver`` and ``tests/e2e``.
"""

import atexit
import functools
import gc
import json
import os
import runpy
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import IO, Any

from trials.forkedclient import request_of

ROOT = Path(__file__).resolve().parents[1]

_PROGRAM = """\
#!{python} -ISB
import sys
sys.path.insert(0, {folder!r})
import forkedclient
forkedclient.run({address!r}, {setup!r})
"""


class Forked:
    """A running program; as much of `subprocess.Popen` as the tests need.

    Args:
        args: As after ``licenseusage``; or a script's path and its arguments.
        env: The whole environment.
        log: Where its output goes.
        script: Whether ``args`` begin with a script.
        errors: Where its errors go; with its output if not given.
        stdin: What it reads; nothing if not given.
        cwd: Its folder; that of the tests if not given.

    Attributes:
        pid: Its process id.
        returncode: None while it runs; negative: the signal that ended it.
    """

    def __init__(
        self,
        args: list[str],
        env: dict[str, str],
        log: IO[bytes],
        *,
        script: bool = False,
        errors: IO[bytes] | None = None,
        stdin: IO[bytes] | None = None,
        cwd: Path | None = None,
    ) -> None:
        """Start it; it has a process id already."""
        self.args = args
        self.returncode: int | None = None
        reading, writing = os.pipe()
        self._life = os.fdopen(reading)
        given = request_of(args, env, str(cwd or Path.cwd()), script=script)
        with (
            tempfile.TemporaryFile("w+") as request,
            os.fdopen(writing, "w"),
            Path(os.devnull).open("rb") as nothing,
        ):
            json.dump(given, request)
            request.seek(0)
            files: list[IO[Any]] = [request, stdin or nothing, log, errors or log]
            numbers = [file.fileno() for file in files]
            socket.send_fds(_prepared().ours, [b"."], [*numbers, writing])
        self.pid = int(self._life.readline())

    def poll(self) -> int | None:
        """Return the exit code, or None while it runs."""
        return self._exit_code(0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end, ``timeout`` seconds at most; return the exit code."""
        if (code := self._exit_code(timeout)) is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return code

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it still runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once, if it still runs."""
        self.send_signal(signal.SIGKILL)

    def _exit_code(self, timeout: float | None) -> int | None:
        if self.returncode is None and select.select([self._life], [], [], timeout)[0]:
            self.returncode = int(self._life.readline())
            self._life.close()
        return self.returncode


def run(
    *args: object,
    env: dict[str, str],
    stdin: str = "",
    cwd: Path | None = None,
    code: int | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, as `subprocess.run` does with ``capture_output`` and ``text``.

    Args:
        args: As after ``licenseusage``.
        env: The whole environment.
        stdin: What it reads.
        cwd: Its folder; that of the tests if not given.
        code: The exit code that it must have; None: any.
    """
    words = [str(arg) for arg in args]
    with (
        tempfile.TemporaryFile() as given,
        tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as errors,
    ):
        given.write(stdin.encode())
        given.seek(0)
        ended = Forked(words, env, out, errors=errors, stdin=given, cwd=cwd).wait(120)
        out.seek(0)
        errors.seek(0)
        printed = out.read().decode(), errors.read().decode()
    assert code in (None, ended), f"exit code {ended} of {words}: {printed}"
    return subprocess.CompletedProcess(words, ended, *printed)


def program(path: Path, setup: str = "") -> Path:
    """Write ``licenseusage`` as a program that whoever runs it gets as a fork.

    Args:
        path: The file; it exists as long as this process does.
        setup: Code that runs in the fork before the command.
    """
    path.write_text(
        _PROGRAM.format(
            python=sys.executable,
            folder=str(Path(__file__).parent),
            address=_prepared().address,
            setup=setup,
        )
    )
    path.chmod(0o755)
    return path


@dataclass(frozen=True)
class _Prepared:
    """Two ways to ask the process that is forked.

    Attributes:
        ours: For this process.
        address: A socket's path, for other processes.
    """

    ours: socket.socket
    address: str


@functools.cache
def _prepared() -> _Prepared:
    """Start the process that is forked, once."""
    folder = Path(tempfile.mkdtemp(prefix="forked-"))
    address = str(folder / "ask")
    ours, theirs = socket.socketpair()
    with theirs, socket.socket(socket.AF_UNIX) as others:
        others.bind(address)
        others.listen(64)
        given = [theirs.fileno(), others.fileno()]
        process = subprocess.Popen(
            [sys.executable, "-m", __name__, *map(str, given)],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            pass_fds=given,
        )

    def end() -> None:
        ours.close()
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)

    atexit.register(end)
    return _Prepared(ours, address)


# -- in the process that is forked


def _serve(asked: socket.socket, others: socket.socket) -> tuple[int, tuple[int, ...]]:
    """Fork whenever asked; return, in each fork, what it is to be, its input and its outputs.

    Args:
        asked: By who started this process; once it is gone, this process ends.
        others: Accepts who else may ask: one connection for each program.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the keepers
    while True:
        ready, _, _ = select.select([asked, others], [], [])
        if asked in ready:
            message, files, *_ = socket.recv_fds(asked, 1, 5)
            if not message:
                sys.exit()
        else:
            connection, _ = others.accept()
            with connection:
                message, files, *_ = socket.recv_fds(connection, 1, 5)
            if not message:
                continue
        request, *standard, life = files
        if os.fork() == 0:
            asked.close()
            others.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            if (pid := os.fork()) == 0:
                os.close(life)
                return request, tuple(standard)
            _keep(pid, life)
        for file in files:
            os.close(file)


def _keep(pid: int, life: int) -> None:
    """Tell the test a fork's process id and, once it has ended, its exit code."""
    os.write(life, f"{pid}\n".encode())
    _, status = os.waitpid(pid, 0)
    os.write(life, f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def _become(request: int, standard: tuple[int, ...]) -> None:
    """Be the program that was asked for."""
    with os.fdopen(request) as text:
        given = json.load(text)
    for number, file in enumerate(standard):
        os.dup2(file, number)
        os.close(file)
    os.chdir(given["folder"])
    os.environ.clear()
    os.environ.update(given["env"])
    os.umask(given["umask"])
    exec(given["setup"], {})
    if given["script"]:
        sys.argv = given["args"]
        runpy.run_path(sys.argv[0], run_name="__main__")
    else:
        sys.argv = ["licenseusage", *given["args"]]
        main()


if __name__ == "__main__":
    # The product that stands beside these tests, wherever another one is installed.
    sys.path[:1] = [str(ROOT / "operator"), str(ROOT)]
    sys.modules["kubernetes"] = None  # type: ignore[assignment]  # as the operator does

    import licenseusage.controller.process.start  # noqa: F401
    from licenseusage.cli import main
    from licenseusage.cli.app import GROUPS

    for _name in (*GROUPS, "exporting", "importing", "preview"):
        import_module(f"licenseusage.cli.{_name}")

    assert threading.active_count() == 1, "a fork has one thread only"
    gc.freeze()  # or each fork would walk all that was imported once more, to end
    _asked, _others = (socket.socket(fileno=int(number)) for number in sys.argv[1:])
    with _asked, _others:
        _start = _serve(_asked, _others)
    _become(*_start)
