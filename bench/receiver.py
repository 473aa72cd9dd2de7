"""How many reports a receiver takes in a second: verified, stored for good, with a signed receipt.

Receivers are processes of their own, as they are run; each has four connections, over which new
reports are put one after the other. The databases write through to the disk with each commit
(SQLite ``synchronous=FULL``, PostgreSQL ``fsync`` and ``synchronous_commit`` on). Clients and
database share the machine's cores; what the processes used of them is printed beside.
"""

import argparse
import http.client
import logging
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import structlog

from hack.postgres import PostgresServer
from tests.receiver.people import RECEIPT_KEY, VENDOR_KEYS, Customer, FixedClock, Receiver, jti
from tests.receiver.processes import Process

CONNECTIONS = 4
REPORTS = 400
_TICKS = os.sysconf("SC_CLK_TCK")


def main() -> int:
    """Measure each kind of database with one and two receivers; print a table."""
    parser = argparse.ArgumentParser(prog="python -m bench.receiver", description=__doc__)
    parser.add_argument("--reports", type=int, default=REPORTS, help="for each receiver")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    print("database    receivers  reports/s  median ms  CPU ms/report (receivers)")
    for kind in ("sqlite", "postgresql"):
        for receivers in (1, 2):
            seconds, waits, cpu_s = measure(kind, receivers, options.reports)
            number, median = len(waits), 1000 * sorted(waits)[len(waits) // 2]
            print(
                f"{kind:<11} {receivers:>9}  {number / seconds:>9.0f}  {median:>9.1f}"
                f"  {1000 * cpu_s / number:>13.1f}",
                flush=True,
            )
    return 0


def measure(kind: str, receivers: int, reports: int) -> tuple[float, list[float], float]:
    """Return how long it took, each request's wait, and the receivers' processor time (s)."""
    with (
        tempfile.TemporaryDirectory() as name,
        database(kind, Path(name)) as url,
        ExitStack() as end,
    ):
        folder = Path(name)
        enrolled, customers = Receiver(url, FixedClock()), []
        for number in range(receivers * CONNECTIONS):
            customers.append(Customer(f"customer {number}"))
            enrolled.put_key(customers[-1].enrolment)
        enrolled.close()
        tokens = [written(customer, reports // CONNECTIONS) for customer in customers]
        processes = [started(folder / str(number), url) for number in range(receivers)]
        for process in processes:
            end.callback(process.stop)
        waits: list[float] = []
        senders = [
            threading.Thread(target=send, args=(processes[number % receivers].port, each, waits))
            for number, each in enumerate(tokens)
        ]
        used_s, began = -cpu_seconds(processes), time.perf_counter()
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
        return time.perf_counter() - began, waits, used_s + cpu_seconds(processes)


@contextmanager
def database(kind: str, folder: Path) -> Iterator[str]:
    """Yield the address of a new database."""
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'receiver.sqlite'}"
        return
    durable = {"fsync": "on", "full_page_writes": "on", "shared_buffers": "128MB"}
    with (
        tempfile.TemporaryDirectory(prefix="bench-postgres-") as data,
        PostgresServer(Path(data), **durable) as server,
    ):
        yield server.url(server.create())


def written(customer: Customer, number: int) -> list[str]:
    """Return reports of one customer: of each of its objects an interim and a final."""
    tokens: list[str] = []
    for pair in range(number // 2):
        interim = customer.report(name=f"usage-{pair}")
        tokens += [interim, customer.report(interim, kind="final", name=f"usage-{pair}")]
    return tokens


def started(folder: Path, url: str) -> Process:
    """Start a receiver in a process of its own."""
    keys = folder / "keys"
    keys.mkdir(parents=True)
    (keys / "jwks.json").write_text(VENDOR_KEYS.to_jwks())
    (keys / "receipt.jwk").write_text(RECEIPT_KEY.to_jwk())
    return Process(folder, keys, "--database-url", url)


def send(port: int, tokens: Sequence[str], waits: list[float]) -> None:
    """Put reports over one connection; each must be new and accepted."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    for token in tokens:
        began = time.perf_counter()
        connection.request(
            "PUT", f"/v1/reports/{jti(token)}", token, {"content-type": "application/jose"}
        )
        answer = connection.getresponse()
        answer.read()
        waits.append(time.perf_counter() - began)
        if answer.status != 201:
            raise RuntimeError(f"a report was answered by {answer.status}")
    connection.close()


def cpu_seconds(processes: Sequence[Process]) -> float:
    """Return the processor time that they have used so far."""
    fields = [Path(f"/proc/{each.pid}/stat").read_text().split() for each in processes]
    return sum(int(each[13]) + int(each[14]) for each in fields) / _TICKS


if __name__ == "__main__":
    sys.exit(main())
