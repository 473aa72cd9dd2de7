"""The client's half of `trials.forked.program`: asks for a fork, and ends as it ends.

Runs without the packages of the project (``-IS``): its own start must cost next to nothing.
"""

import json
import os
import signal
import socket
import sys


def run(address: str, setup: str) -> None:
    """Have ``licenseusage`` run with this process's arguments, environment, folder and streams.

    Args:
        address: Path of the socket of the process that is forked.
        setup: Code that runs in the fork before the command.
    """
    os.umask(umask := os.umask(0))
    request, life = os.pipe(), os.pipe()
    with socket.socket(socket.AF_UNIX) as asked:
        asked.connect(address)
        socket.send_fds(asked, [b"."], [request[0], 0, 1, 2, life[1]])
    os.close(request[0])
    os.close(life[1])
    given = {"args": sys.argv[1:], "env": dict(os.environ), "script": False, "setup": setup}
    with open(request[1], "w") as text:
        json.dump({**given, "folder": os.getcwd(), "umask": umask}, text)
    with open(life[0]) as answers:
        pid = int(answers.readline())
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda number, _: os.kill(pid, number))
        code = int(answers.readline())
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    sys.exit(code)
