"""Servers of tests on 127.0.0.1: free ports, and clients that ask nobody else."""

import socket
from contextlib import ExitStack

import httpx


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that are free now, all different."""
    with ExitStack() as stack:
        listeners = [stack.enter_context(socket.socket()) for _ in range(count)]
        for listener in listeners:
            listener.bind(("127.0.0.1", 0))
        return [listener.getsockname()[1] for listener in listeners]


def client(port: int) -> httpx.Client:
    """A browser without cookies, or a program."""
    # All is plain HTTP. To load a trust store takes longer than most of the requests.
    return httpx.Client(
        base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False, verify=False
    )
