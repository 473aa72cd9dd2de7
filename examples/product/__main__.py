r"""Run the sample product: ``generate`` its people once, then ``serve`` any number of replicas.

::

    python -m examples.product generate --database people.db --truth truth.json \
        --cycle-start 2026-11-01
    python -m examples.product serve --database people.db --port 8080 --token-file token
"""

import argparse
import os
from datetime import UTC, datetime
from pathlib import Path

from aiohttp import web

from examples.product.generate import generate
from examples.product.server import application
from examples.product.store import Store
from licenseusage.clock import clock_from

_DAY = 86_400


def main() -> None:
    """Do what the command line says."""
    arguments = _arguments()
    clock = clock_from(os.environ)
    store = Store(arguments.database)
    if arguments.command == "serve":
        token = arguments.token_file.read_text().strip()
        app = application(store, clock, token)
        print(f"http://{arguments.host}:{arguments.port}/.well-known/active-users", flush=True)
        web.run_app(app, host=arguments.host, port=arguments.port, print=None, access_log=None)
        return
    if store.page("", 1):
        print(f"{arguments.database} has people already: none are added", flush=True)
    else:
        _generate(arguments, store, clock.now_ms() // 1000)
    if arguments.truth.exists():
        print(arguments.truth.read_text(), end="")


def _generate(arguments: argparse.Namespace, store: Store, now: int) -> None:
    """Add people who are active until ``now``, in seconds since the epoch."""
    length = arguments.cycle_days * _DAY
    day = arguments.cycle_start or arguments.first_cycle
    start = int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp())
    if arguments.first_cycle:
        start += (now - start) // length * length
    end = start + length
    truth = generate(
        store, start=start, end=end, now=min(now, end), people=arguments.people, seed=arguments.seed
    )
    truth.write(arguments.truth)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m examples.product", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser("serve", help="serve one replica until it is stopped")
    serve.add_argument("--host", default="127.0.0.1")
    serve.add_argument("--port", type=int, default=8080)
    serve.add_argument("--token-file", type=Path, required=True, help="holds the bearer token")
    people = commands.add_parser("generate", help="add people, if there are none yet")
    people.add_argument("--people", type=int, default=100_000)
    people.add_argument("--seed", type=int, default=1)
    begin = people.add_mutually_exclusive_group(required=True)
    begin.add_argument("--cycle-start", help="first day of the cycle, 2026-11-01; UTC")
    begin.add_argument("--first-cycle", help="first day of a cycle; the one that runs now is taken")
    people.add_argument("--cycle-days", type=int, default=30)
    people.add_argument("--truth", type=Path, required=True, help="file for the true numbers")
    for command in (serve, people):
        command.add_argument("--database", type=Path, required=True, help="SQLite file, shared")
    return parser.parse_args()


if __name__ == "__main__":
    main()
