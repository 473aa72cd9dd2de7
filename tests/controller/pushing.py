"""A product that pushes: requests to the intake, as any client would make them."""

import json
import urllib.request
from datetime import UTC, datetime
from urllib.error import HTTPError

BATCH = "application/cloudevents-batch+json"
ACTIVITY, HEARTBEAT = "dev.licenseusage.activity", "dev.licenseusage.heartbeat"


def rfc3339(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).isoformat(timespec="milliseconds")


def activity(user, at_s, *, source="/shop", number=1):
    return {
        "specversion": "1.0",
        "id": f"{user}-{number}",
        "source": source,
        "type": ACTIVITY,
        "time": rfc3339(at_s),
        "data": {"user": user},
    }


def heartbeat(through_s, *, source="/shop"):
    return {
        "specversion": "1.0",
        "id": f"until-{through_s}",
        "source": source,
        "type": HEARTBEAT,
        "data": {"completeThrough": rfc3339(through_s)},
    }


def pushed_usage(namespace, name="shop", *, accounts=("shop",), producers=("/shop",), **spec):
    push = {"serviceAccounts": list(accounts)}
    if producers:
        push["producers"] = list(producers)
    source = {"name": "app", "preset": "StandardPush", "push": push, "intervalMinutes": 1}
    return {
        "apiVersion": "licenseusage.dev/v1alpha1",
        "kind": "LicenseUsage",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "product": name,
            "cycle": {"anchorDate": "2026-01-15", "lengthDays": 1},
            "closeGraceHours": 1,
            "sources": [source],
            **spec,
        },
    }


def token_of(crds, namespace, account="shop", audience="licenseusage.dev"):
    """Return a token as kubelet would project it into a pod: by TokenRequest."""
    made = crds.kubectl(
        *("create", "token", account, "-n", namespace, f"--audience={audience}"),
    )
    return getattr(made, "stdout", made).strip()


class Answer:
    """What the intake answered."""

    def __init__(self, status, headers, raw):
        self.status, self.headers, self.body = status, headers, json.loads(raw or b"null")


class Pusher:
    """One producer: it keeps its receipt, and sends what it is told."""

    def __init__(self, port, token):
        self.url, self.token, self.receipt = f"http://127.0.0.1:{port}/v1/activity", token, None

    def send(self, body, *, media_type=BATCH, headers=()) -> Answer:
        """Send a body as it is; keep the receipt of the answer."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = {"Content-Type": media_type, **dict(headers)}
        if self.token:
            sent["Authorization"] = f"Bearer {self.token}"
        if self.receipt:
            sent["LicenseUsage-Receipt"] = self.receipt
        request = urllib.request.Request(self.url, raw, sent)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                found = Answer(answer.status, answer.headers, answer.read())
        except HTTPError as error:
            return Answer(error.code, error.headers, error.read())
        self.receipt = found.body.get("receipt", self.receipt)
        return found
