"""The client's half of `trials.forked.program`: asks for a fork, and ends as it ends.

Runs without the packages of the project (``-IS``): its own start must cost next to nothing.
"""

import json
import os
import signal
import socket
import sys


def request_of(
    args: list[str], env: dict[str, str], folder: str, *, script: bool = False, setup: str = ""
) -> dict[str, object]:
    """Return what a fork is to be, as `trials.forked` reads it, with this process's umask.

    Args:
        args: As after ``licenseusage``; or a script's path and its arguments.
        env: The whole environment.
        folder: Its working directory.
        script: Whether ``args`` begin with a script.
        setup: Code that runs in the fork before the command.
    """
    os.umask(umask := os.umask(0))
    given = {"args": args, "env": env, "folder": folder, "script": script, "setup": setup}
    return {**given, "umask": umask}


def run(address: str, setup: str) -> None:
    """Have ``licenseusage`` run with this process's arguments, environment, folder and streams.

    Args:
        address: Path of the socket of the process that is forked.
        setup: Code that runs in the fork before the command.
    """
    request, life = os.pipe(), os.pipe()
    with socket.socket(socket.AF_UNIX) as asked:
        asked.connect(address)
        socket.send_fds(asked, [b"."], [request[0], 0, 1, 2, life[1]])
    os.close(request[0])
    os.close(life[1])
    with open(request[1], "w") as text:
        json.dump(request_of(sys.argv[1:], dict(os.environ), os.getcwd(), setup=setup), text)
    with open(life[0]) as answers:
        pid = int(answers.readline())
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda number, _: os.kill(pid, number))
        code = int(answers.readline())
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    sys.exit(code)
