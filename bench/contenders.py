"""The contenders, each run as ``python -m bench.contenders NAME URL PAGED``.

Each prints one JSON object: the users it found active, the seconds from its first request to that
number (start of the interpreter and imports left out) and its peak of resident memory.
"""

import gc
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode, urlsplit

from bench.listing import PAGE_ROWS, cycle_start

GIB = 1024**3


def collection(url: str, *, paged: bool) -> Callable[[], int]:
    """One collection, as a worker process performs it."""
    from licenseusage.api.source import Source
    from licenseusage.clock import SystemClock
    from licenseusage.metering.cycles import DAY_MS, Cycle
    from licenseusage.sources.collect import collect
    from licenseusage.sources.frames import framed
    from licenseusage.sources.poll import (
        Credentials,
        CycleRequest,
        Limits,
        PollRequest,
        Target,
    )
    from licenseusage.sources.presets import effective

    fields: dict[str, Any] = {
        "name": "graph",
        "preset": "OpenCloud",
        "pods": {"selector": {"matchLabels": {"app": "opencloud"}}, "port": 80, "scheme": "HTTP"},
        "auth": {"basic": {"secretRef": {"name": "meter"}}},
        "guarantees": {"removal": "Never", "order": "KeyCursor"},
    }
    if paged:
        fields["http"] = {
            "query": [{"name": "limit", "value": str(PAGE_ROWS)}],
            "pagination": {"type": "Cursor", "params": [{"name": "after", "path": "next"}]},
        }
    start_ms = int(cycle_start(datetime.now(UTC)).timestamp()) * 1000
    parts = urlsplit(url)
    request = PollRequest(
        source=effective(Source.model_validate(fields)),
        targets=(Target(parts.hostname or "", parts.port or 80),),
        product="bench",
        pseudonym_key=b"k" * 32,
        cycles=(CycleRequest(Cycle(0, start_ms, start_ms + 30 * DAY_MS)),),
        credentials=Credentials("admin", "password"),
        limits=Limits(request_seconds=300, poll_bytes=GIB),
    )

    gc.freeze()
    gc.disable()  # as a worker process does

    def run() -> int:
        result = collect(request, SystemClock())
        if result.failure is not None or not result.complete:
            raise SystemExit(f"the collection failed: {result.failure or result.incomplete}")
        framed(result)  # what crosses the pipe to the operator
        return result.counted

    return run


def receive_and_loads(url: str, *, paged: bool) -> Callable[[], int]:
    """Receive with httpx and decode everything with orjson; no counting."""
    import httpx
    import orjson

    def run() -> int:
        listed = 0
        with httpx.Client(trust_env=False, timeout=300) as client:

            def fetch(query: str) -> dict[str, Any]:
                page: dict[str, Any] = orjson.loads(client.get(url + query).content)
                return page

            for page in _pages(fetch, paged=paged):
                listed += len(page)
        return listed

    return run


def receive_lean_and_loads(url: str, *, paged: bool) -> Callable[[], int]:
    """The same with ``http.client`` on one connection, which is what a collection receives with."""
    from http.client import HTTPConnection

    import orjson

    parts = urlsplit(url)

    def run() -> int:
        connection = HTTPConnection(parts.hostname or "", parts.port or 80, timeout=300)

        def fetch(query: str) -> dict[str, Any]:
            connection.request("GET", parts.path + query)
            page: dict[str, Any] = orjson.loads(connection.getresponse().read())
            return page

        listed = sum(len(page) for page in _pages(fetch, paged=paged))
        connection.close()
        return listed

    return run


def plain_script(url: str, *, paged: bool) -> Callable[[], int]:
    """What one writes first: urllib, json and a set."""
    from urllib.request import urlopen

    def get(query: str) -> dict[str, Any]:
        with urlopen(url + query) as answer:  # noqa: S310 - the server of this benchmark
            page: dict[str, Any] = json.load(answer)
            return page

    def run() -> int:
        start = f"{cycle_start(datetime.now(UTC)):%Y-%m-%dT%H:%M:%SZ}"
        active = set()
        for page in _pages(get, paged=paged):
            for user in page:
                seen = user.get("signInActivity", {}).get("lastSuccessfulSignInDateTime")
                if seen and seen >= start:
                    active.add(user["id"])
        return len(active)

    return run


def shell(url: str, *, paged: bool) -> Callable[[], int]:
    """``curl | jq | sort -u | wc -l``; curl asks for all pages over one connection."""
    start = f"{cycle_start(datetime.now(UTC)):%Y-%m-%dT%H:%M:%SZ}"
    last = int(os.environ["BENCH_USERS"]) - 1
    asked = f"{url}?limit={PAGE_ROWS}&offset=[0-{last}:{PAGE_ROWS}]" if paged else url
    line = (
        'curl -fsS "$1" | jq -r --arg s "$2" \'.value[] '
        "| select(.signInActivity.lastSuccessfulSignInDateTime >= $s) | .id' | sort -u | wc -l"
    )

    def run() -> int:
        command = ["bash", "-o", "pipefail", "-c", line, "bench", asked, start]
        done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
        return int(done.stdout)

    return run


CONTENDERS = {
    "one collection": collection,
    "receiving + orjson.loads": receive_and_loads,
    "  the same by http.client": receive_lean_and_loads,
    "plain Python script (urllib, json)": plain_script,
    "curl | jq | sort -u | wc -l": shell,
}
BASELINE = "receiving + orjson.loads"
COUNT_NOBODY = {BASELINE, "  the same by http.client"}
IN_CHILDREN = "curl | jq | sort -u | wc -l"


def missing(name: str) -> str | None:
    """Return the program that a contender needs and that is not installed."""
    if name != IN_CHILDREN:
        return None
    wanted = ("bash", "curl", "jq", "sort", "wc")
    return next((one for one in wanted if shutil.which(one) is None), None)


def _pages(get: Callable[[str], dict[str, Any]], *, paged: bool) -> Iterator[Any]:
    query: dict[str, Any] | None = {"limit": PAGE_ROWS} if paged else {}
    while query is not None:
        page = get("?" + urlencode(query) if query else "")
        yield page["value"]
        query = {"limit": PAGE_ROWS, "after": page["next"]} if page["next"] else None


def main() -> None:
    """Run one contender and print what it took."""
    name, url, paged = sys.argv[1], sys.argv[2], sys.argv[3] == "paged"
    run = CONTENDERS[name](url, paged=paged)
    started = time.perf_counter()
    users = run()
    seconds = time.perf_counter() - started
    # Of a pipeline this is the largest of its programs.
    who = resource.RUSAGE_CHILDREN if name == IN_CHILDREN else resource.RUSAGE_SELF
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(who).ru_maxrss * unit
    print(json.dumps({"users": users, "seconds": seconds, "peakBytes": peak}))


if __name__ == "__main__":
    main()
