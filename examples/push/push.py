"""Push users' activity to the operator's intake; nothing is lost, whatever ends in between.

An event is written to a file (and to the disk) before the product goes on. `send` takes the file
away, sends it in batches, keeps the receipt of each answer, and removes what was answered. Only one
process sends at a time; any number of them may record.

    push = Outbox(Path("/var/lib/push"), source="/shop/web-0")
    push.record("user-4711")          # in a request of a user
    push.send(url, token_file)        # once a minute
"""

import fcntl
import json
import os
import sys
import time
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

BATCH = 500
LAG_SECONDS = 1.0
"""How long after an activity its event is on the disk at the latest."""


class NotTakenError(Exception):
    """The intake did not take the events; they are kept, and `send` may be called again.

    Attributes:
        status: HTTP status; 0: there was no answer.
        error: The reason, such as ``EventInvalid``.
    """

    def __init__(self, status: int, error: str, detail: str) -> None:
        """Keep what was answered."""
        super().__init__(f"{status} {error}: {detail}")
        self.status, self.error = status, error


class Outbox:
    """Events of one producer that were not answered yet, in a folder."""

    def __init__(self, folder: Path, source: str) -> None:
        """Use a folder on a volume that outlives the process.

        Args:
            folder: Made if it is absent.
            source: Name of this producer, as in push.producers.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._source = folder, source
        self._new, self._taken = folder / "new.jsonl", folder / "taken.jsonl"
        self._receipt = folder / "receipt"

    def record(self, user: str, at_s: float | None = None) -> None:
        """Keep that a user was active; returns once it is on the disk.

        Args:
            user: The permanent id of the user.
            at_s: When, in seconds since the epoch; None: now.
        """
        event = self._event("dev.licenseusage.activity", {"user": user})
        with self._locked("new.lock"), self._new.open("a") as file:
            event["time"] = _rfc3339(time.time() if at_s is None else at_s)
            file.write(json.dumps(event) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def send(self, url: str, token_file: Path) -> None:
        """Send everything that was recorded, and a heartbeat.

        Raises:
            NotTakenError: The intake refused it, or did not answer. Nothing is lost.
        """
        with self._locked("send.lock"):
            # Whatever was active before is in the files now: this is what the heartbeat says.
            through_s = time.time() - LAG_SECONDS
            self._take()
            events = [json.loads(line) for line in self._taken.read_text().splitlines()]
            heartbeat = self._event(
                "dev.licenseusage.heartbeat", {"completeThrough": _rfc3339(through_s)}
            )
            events.append(heartbeat)
            for first in range(0, len(events), BATCH):
                self._post(url, token_file, events[first : first + BATCH])
            self._taken.unlink()

    def _take(self) -> None:
        """Move what was recorded to what is being sent, behind what was left there."""
        with self._locked("new.lock"):
            new = self._new.read_text() if self._new.exists() else ""
            left = self._taken.read_text() if self._taken.exists() else ""
            # A crash after this and before the next line sends some events twice: harmless.
            _write(self._taken, left + new)
            self._new.unlink(missing_ok=True)

    def _post(self, url: str, token_file: Path, events: list[dict[str, Any]]) -> None:
        headers = {
            "Authorization": f"Bearer {token_file.read_text().strip()}",  # it is renewed
            "Content-Type": "application/cloudevents-batch+json",
        }
        if self._receipt.exists():
            headers["LicenseUsage-Receipt"] = self._receipt.read_text()
        request = urllib.request.Request(url, json.dumps(events).encode(), headers)  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
                body = json.loads(answer.read())
        except HTTPError as error:
            problem = _problem(error)
            if problem["error"] == "PushReceiptUnknown":
                # The ledger was restored: what is sent counts, and a new chain begins.
                self._receipt.unlink(missing_ok=True)
            raise NotTakenError(error.code, problem["error"], problem["detail"]) from None
        except OSError as error:
            raise NotTakenError(0, "NoAnswer", str(error)) from None
        if "warning" in body:
            print(body["warning"], file=sys.stderr)
        if "receipt" in body:
            _write(self._receipt, body["receipt"])

    def _event(self, kind: str, data: dict[str, str]) -> dict[str, Any]:
        return {
            "specversion": "1.0",
            "id": str(uuid.uuid4()),
            "source": self._source,
            "type": kind,
            "data": data,
        }

    @contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        with (self._folder / name).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _write(path: Path, text: str) -> None:
    """Write a file so that it is either the old one or the new one, whatever happens."""
    unfinished = path.with_name(path.name + ".part")
    with unfinished.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)


def _problem(error: HTTPError) -> dict[str, str]:
    try:
        problem = json.loads(error.read())
        return {"error": str(problem["error"]), "detail": str(problem["detail"])}
    except (ValueError, KeyError, TypeError):
        return {"error": "Unexpected", "detail": "the answer is no problem document"}


def _rfc3339(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).isoformat(timespec="milliseconds")


def main(arguments: list[str]) -> int:
    """Record or send, as the command line says; return the exit code."""
    outbox = Outbox(
        Path(os.environ.get("INTAKE_FOLDER", "/var/lib/push")),
        os.environ.get("INTAKE_SOURCE", "/app"),
    )
    match arguments:
        case ["record", user]:
            outbox.record(user)
        case ["send"]:
            url = os.environ.get(
                "INTAKE_URL", "http://licenseusage-intake.licenseusage-system/v1/activity"
            )
            token = os.environ.get("INTAKE_TOKEN_FILE", "/var/run/secrets/licenseusage/token")
            try:
                outbox.send(url, Path(token))
            except NotTakenError as error:
                print(f"not taken, kept: {error}", file=sys.stderr)
                return 1
        case _:
            print("usage: push.py record USER | push.py send", file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
