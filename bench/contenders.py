"""The contenders, each run as ``python -m bench.contenders NAME FORM PORT PORT``.

Each prints a list of JSON objects, one for each thing it measured: the users it found active, the
seconds from its first request to that number (start of the interpreter and imports left out) and
its peak of resident memory. The second port serves the same list some minutes later.
"""

import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from bench.listing import PAGE_ROWS, Form, cycle_start

FIRST = "first collection, to its commit"
AGAIN = "again, 1 % changed"
OPERATOR = "  (the operator beside the worker)"
LOADS = "receiving + orjson.loads"
LEAN = "  the same by http.client"
SCRIPT = "plain Python script (urllib, json)"
SHELL = "curl | jq | sort -u | wc -l"

COLLECTIONS = "collections"
COUNT_NOBODY = {LOADS, LEAN}
PEAK_UNIT = 1 if sys.platform == "darwin" else 1024


@dataclass(frozen=True)
class Measured:
    """What one thing took; of collections the memory is that of the worker process."""

    name: str
    users: int
    seconds: float
    peak_bytes: int


Get = Callable[[str], dict[str, Any]]
"""Asks for the list with a query and returns the decoded answer."""


def collections(form: Form, ports: Sequence[int]) -> list[Measured]:
    """Collect first, and again from the list as it is later, with one worker and one ledger."""
    from bench import shipped

    first, again = shipped.collections(form, ports)
    worker = _peak(resource.RUSAGE_CHILDREN)
    return [
        Measured(FIRST, first.users, first.seconds, worker),
        Measured(AGAIN, again.users, again.seconds, worker),
        Measured(OPERATOR, again.users, 0.0, _peak(resource.RUSAGE_SELF)),
    ]


def receive_and_loads(form: Form, url: str) -> Callable[[], int]:
    """Receive with httpx and decode everything with orjson; no counting."""
    import httpx
    import orjson

    def run() -> int:
        with httpx.Client(trust_env=False, timeout=300) as client:

            def get(query: str) -> dict[str, Any]:
                page: dict[str, Any] = orjson.loads(client.get(url + query).content)
                return page

            return sum(len(page) for page in _pages(form, get))

    return run


def receive_lean_and_loads(form: Form, url: str) -> Callable[[], int]:
    """The same with ``http.client`` on one connection, which is what a collection receives with."""
    from http.client import HTTPConnection

    import orjson

    host, port = url.removeprefix("http://").partition("/")[0].split(":")

    def run() -> int:
        connection = HTTPConnection(host, int(port), timeout=300)

        def get(query: str) -> dict[str, Any]:
            connection.request("GET", form.path + query)
            page: dict[str, Any] = orjson.loads(connection.getresponse().read())
            return page

        listed = sum(len(page) for page in _pages(form, get))
        connection.close()
        return listed

    return run


def plain_script(form: Form, url: str) -> Callable[[], int]:
    """What one writes first: urllib, json and a set."""
    from urllib.request import urlopen

    def get(query: str) -> dict[str, Any]:
        with urlopen(url + query) as answer:  # noqa: S310 - the server of this benchmark
            page: dict[str, Any] = json.load(answer)
            return page

    def run() -> int:
        start = f"{cycle_start(datetime.now(UTC)):%Y-%m-%dT%H:%M:%SZ}"
        active = set()
        for page in _pages(form, get):
            for user in page:
                if form is Form.OPENCLOUD:
                    seen = user.get("signInActivity", {}).get("lastSuccessfulSignInDateTime")
                else:
                    seen = user["lastActive"]
                if seen and seen >= start:
                    active.add(user["id"])
        return len(active)

    return run


def shell(form: Form, url: str) -> Callable[[], int]:
    """``curl | jq | sort -u | wc -l``; curl asks for all pages over one connection."""
    start = f"{cycle_start(datetime.now(UTC)):%Y-%m-%dT%H:%M:%SZ}"
    last = int(os.environ["BENCH_USERS"]) - 1
    asked = f"{url}?limit={PAGE_ROWS}&offset=[0-{last}:{PAGE_ROWS}]" if form.paged else url
    opencloud = ".signInActivity.lastSuccessfulSignInDateTime"
    seen = opencloud if form is Form.OPENCLOUD else ".lastActive"
    line = (
        f'curl -fsS "$1" | jq -r --arg s "$2" \'.{form.items}[] | select({seen} >= $s) | .id\''
        " | sort -u | wc -l"
    )

    def run() -> int:
        command = ["bash", "-o", "pipefail", "-c", line, "bench", asked, start]
        done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
        return int(done.stdout)

    return run


OTHERS: dict[str, Callable[[Form, str], Callable[[], int]]] = {
    LOADS: receive_and_loads,
    LEAN: receive_lean_and_loads,
    SCRIPT: plain_script,
    SHELL: shell,
}
CONTENDERS = (COLLECTIONS, *OTHERS)


def missing(name: str) -> str | None:
    """Return the program that a contender needs and that is not installed."""
    if name != SHELL:
        return None
    wanted = ("bash", "curl", "jq", "sort", "wc")
    return next((program for program in wanted if shutil.which(program) is None), None)


def measured(name: str, form: Form, ports: Sequence[int]) -> list[Measured]:
    """Run one contender in this process."""
    if name == COLLECTIONS:
        return collections(form, ports)
    run = OTHERS[name](form, f"http://127.0.0.1:{ports[0]}{form.path}")
    started = time.perf_counter()
    users = run()
    seconds = time.perf_counter() - started
    # Of a pipeline this is the largest of its programs.
    peak = _peak(resource.RUSAGE_CHILDREN if name == SHELL else resource.RUSAGE_SELF)
    return [Measured(name, users, seconds, peak)]


def _pages(form: Form, get: Get) -> Iterator[list[Any]]:
    query: dict[str, Any] | None = {"limit": PAGE_ROWS} if form.paged else {}
    while query is not None:
        page = get("?" + urlencode(query) if query else "")
        yield page[form.items]
        query = {"limit": PAGE_ROWS, "after": page["next"]} if page.get("next") else None


def _peak(who: int) -> int:
    return resource.getrusage(who).ru_maxrss * PEAK_UNIT


def main() -> None:
    """Run one contender and print what it took."""
    name, form, *ports = sys.argv[1:]
    print(json.dumps([asdict(run) for run in measured(name, Form(form), list(map(int, ports)))]))


if __name__ == "__main__":
    main()
