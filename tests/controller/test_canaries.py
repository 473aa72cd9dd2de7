"""Nothing that leaves the operator has a credential, a key or a user in it, in any form.

Every Secret that the operator reads and every user of the product is a text that occurs nowhere
else. A real operator counts, reports and meets failures with the log level debug; then all that
left it is searched: log, events, objects, metrics, files beside its ledger, temporary files.
"""

import base64
import json
import time
from datetime import UTC, datetime

import pytest

from tests.controller.canaries import forms, leaks
from tests.controller.sample import TOKEN, Product, reply
from tests.controller.stage import (
    Operator,
    Vendor,
    create_pods,
    meter_secret,
    secret,
    until,
    usage,
    vendor_keys,
)

NAMESPACE = "canaries"
USERS = ("canary+ann.7f3a@people.example", "canary bob/7f3b", "canary-zoë-7f3c")
OBJECTS = "licenseusages,usagereports,usagereceipts,events,configmaps"


def test_each_form_of_a_text_is_found():
    for text in (*USERS, TOKEN):
        raw = text.encode()
        for hidden in (
            *(text, raw.hex(), json.dumps({"a": text})),
            *(base64.b64encode(b"x" * n + raw + b"yz").decode() for n in range(3)),
            *(base64.urlsafe_b64encode(b"x" * n + raw).decode() for n in range(3)),
        ):
            assert [*leaks({"log": f"before {hidden} after"}, [text])], hidden
    assert [*leaks({"log": "GET /users?after=canary%20bob%2F7f3b"}, USERS)]
    assert [*leaks({"log": "nothing of it"}, (*USERS, TOKEN))] == []
    assert len(forms(TOKEN)) == 11


def broken_with_a_name(handler) -> bool:
    """A product whose error says who was asked for, and with what."""
    said = f"{USERS[0]}: {handler.headers.get('Authorization')}"
    reply(handler, 500, json.dumps({"error": said}).encode())
    return True


def broken_answer(handler) -> bool:
    """A product whose list ends within a name."""
    reply(handler, 200, json.dumps({"users": [{"id": USERS[1]}]}).encode()[:-8])
    return True


@pytest.fixture(scope="module")
def left(crds, tmp_path_factory):
    """Place -> what left the operator there; and every text that must not be in it."""
    folder = tmp_path_factory.mktemp("canaries")
    crds.create_namespace(NAMESPACE)
    vendor, product = Vendor(folder / "vendor"), Product()
    product.users = {user: product.now() - 60 for user in USERS}
    begin = datetime.now(UTC).date()
    token = vendor.license(anchor=begin, days=30, endpoint=None, interval_hours=1)
    licensed = {"license": {"secretRef": {"name": "license"}}}
    crds.apply(
        [
            meter_secret(NAMESPACE),
            secret(NAMESPACE, "license", **{"license.jwt": token}),
            vendor_keys(NAMESPACE, vendor.jwks),
            usage(NAMESPACE, spec=licensed, source={"intervalMinutes": 1}),
        ]
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KUBECONFIG", str(crds.kubeconfig))
        create_pods(NAMESPACE, {"shop": (product.port, True)})
    operator = Operator(crds, NAMESPACE, folder / "operator", log_level="debug")
    temporary = folder / "tmp"
    temporary.mkdir()
    operator.env["TMPDIR"] = str(temporary)
    operator.start()
    operator.wait_condition("shop", "Collected", "True")
    until(operator.reports)
    for fault, words in ((broken_with_a_name, "HTTP 500"), (broken_answer, "JSON")):
        product.fault = fault
        stamp = f"licenseusage.dev/requested-at={time.time_ns()}"
        crds.kubectl("annotate", "--overwrite", "lu/shop", "-n", NAMESPACE, stamp)
        # The words, not only False: the failure before it is still there when this is asked for.
        until(lambda words=words: words in operator.condition("shop", "Collected")["message"], 40)
    places = {
        "objects": crds.kubectl("get", OBJECTS, "-n", NAMESPACE, "-o", "json").stdout,
        "metrics": operator.http("/metrics")[1],
        "health": operator.http("/readyz")[1] + operator.http("/healthz")[1],
    }
    # Reports are base64 of JSON: what is in them is searched, too.
    for report in operator.reports():
        parts = report["spec"]["token"].split(".")
        places[report["metadata"]["name"]] = "".join(
            base64.urlsafe_b64decode(part + "==").decode("latin-1") for part in parts
        )
    operator.stop()
    product.close()
    files = [*temporary.rglob("*"), *operator.folder.rglob("*")]
    places |= {one.name: one.read_bytes().decode("latin-1") for one in files if one.is_file()}
    hushed = [*USERS, TOKEN]
    for name in ("licenseusage-identity", "licenseusage-pseudonym"):
        manifest = crds.kubectl("get", "secret", name, "-n", NAMESPACE, "-o", "json").stdout
        data = {
            k: base64.b64decode(v).decode("latin-1")
            for k, v in json.loads(manifest)["data"].items()
        }
        hushed += [json.loads(data["private.jwk"])["d"]] if "private.jwk" in data else data.values()
    return places, hushed


@pytest.mark.controlplane
def test_nothing_that_leaves_has_a_credential_a_key_or_a_user_in_it(left):
    places, hushed = left
    assert [*leaks(places, hushed)] == []


@pytest.mark.controlplane
def test_all_places_were_searched(left):
    places, hushed = left
    assert {"objects", "metrics", "operator.log", "ledger.sqlite"} <= set(places)
    assert '"level": "debug"' in places["operator.log"]
    assert "HTTP 500" in places["objects"]
    assert sum(name.startswith("shop-") for name in places) >= 1
    assert len(hushed) >= len(USERS) + 3
