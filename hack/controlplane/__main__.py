"""``python -m hack.controlplane prepare | path | run``."""

import argparse
import signal
import sys
import time

from hack.controlplane import versions
from hack.controlplane.binaries import cached, find
from hack.controlplane.errors import ControlPlaneError
from hack.controlplane.instance import ControlPlane
from hack.controlplane.progress import Progress


def main(argv: list[str] | None = None) -> int:
    """Run one command; return its exit code: 0 ok, 1 not there, 2 usage, 3 cannot be had."""
    parser = argparse.ArgumentParser(
        prog="python -m hack.controlplane",
        description=f"{__doc__} {versions.VARIABLE} says which Kubernetes it must be "
        f"({' or '.join(versions.BUILDS)}).",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("prepare", help="find, fetch or build etcd, kube-apiserver and kubectl")
    commands.add_parser("path", help="print their folder (for KUBEBUILDER_ASSETS); builds nothing")
    commands.add_parser("run", help="start a control plane and keep it until Ctrl-C")
    command = parser.parse_args(argv).command
    try:
        match command:
            case "prepare":
                return _prepare()
            case "path":
                return _path()
            case _:
                return _run()
    except ControlPlaneError as error:
        print(f"error: {error}", file=sys.stderr)
        return 3


def _prepare() -> int:
    binaries = find()
    Progress().say(f"ready: {binaries.folder} ({binaries.source})")
    return 0


def _path() -> int:
    binaries = cached()
    if binaries is None:
        print("error: not prepared yet: run `make controlplane` first", file=sys.stderr)
        return 1
    print(binaries.folder)
    return 0


def _run() -> int:
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    begun = time.monotonic()
    try:
        with ControlPlane() as control_plane:
            Progress().say(f"up after {time.monotonic() - begun:.1f} s; Ctrl-C ends it")
            print(f"export KUBECONFIG={control_plane.kubeconfig}", flush=True)
            signal.pause()
    except KeyboardInterrupt:
        Progress().say("stopped")
    return 0


if __name__ == "__main__":
    sys.exit(main())
