"""Unreadable licences, absent and lying vendors: said in conditions, and counting goes on."""

import json
import sqlite3
import ssl
import threading
import time
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from licenseusage.reports.names import digest
from licenseusage.reports.report import read_report
from licenseusage.reports.tokens import decode
from tests.controller.sample import Product, reply
from tests.controller.stage import (
    Operator,
    Vendor,
    create_pods,
    free_port,
    meter_secret,
    secret,
    until,
    usage,
    vendor_keys,
)
from trials import forked

pytestmark = pytest.mark.controlplane

NAMESPACE = "vendors"
TODAY = datetime.now(UTC).date()
DAY = 86_400


class Liar:
    """An https server that says 200 to everything, with what a captive portal says."""

    def __init__(self, tls):
        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_PUT(self):
                self.rfile.read(int(self.headers["Content-Length"]))
                reply(self, 200, b"<html>Welcome to our hotel</html>", "text/html")

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls.cert_file, tls.key_file)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.endpoint = f"https://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()


BAD_LICENCES = {
    # name -> the licence (None: no Secret), reason, words
    "absent": (lambda v, s: None, "LicenseNotFound", "create it"),
    "garbage": (lambda v, s: "not a licence", "MalformedToken", "token"),
    "stranger": (lambda v, s: s.license(anchor=TODAY), "KeyUnknown", "of keys for licences"),
    "other-product": (
        lambda v, s: v.license(anchor=TODAY, product="else"),
        "LicenseMismatch",
        "is for product else; spec.product is",
    ),
    "expired": (
        lambda v, s: v.license(
            anchor=TODAY,
            issued_at_s=int(time.time()) - 2 * DAY,
            not_before_s=int(time.time()) - 2 * DAY,
            expires_s=int(time.time()) - DAY,
        ),
        "LicenseExpired",
        "expired on",
    ),
    "quarterly": (lambda v, s: v.license(anchor=TODAY, days=90), "CycleUnsupported", "62"),
}


@pytest.fixture(scope="module")
def stage(crds, tmp_path_factory):
    crds.create_namespace(NAMESPACE)
    folder = tmp_path_factory.mktemp("vendors")
    vendor, stranger = Vendor(folder / "vendor").start(), Vendor(folder / "stranger")
    liar = Liar(vendor.tls)
    product = Product()
    product.users = {"ann": product.now() - 60, "bob": product.now() - 70}
    licences = {name: make(vendor, stranger) for name, (make, _, _) in BAD_LICENCES.items()}
    licences |= {
        "good": vendor.license(anchor=TODAY),
        "unreachable": vendor.license(
            anchor=TODAY, endpoint=f"https://127.0.0.1:{free_port()}", subscription="sub-2"
        ),
        "lying": vendor.license(anchor=TODAY, endpoint=liar.endpoint, subscription="sub-3"),
        "untrusted": vendor.license(
            anchor=TODAY, endpoint=f"https://localhost:{vendor.port}", subscription="sub-4"
        ),
        "offline": vendor.license(anchor=TODAY, endpoint=None, subscription="sub-5"),
        "suspended": vendor.license(anchor=TODAY, subscription="sub-6"),
        "exceeded": vendor.license(anchor=TODAY, maximum_active_users=1, subscription="sub-7"),
        "private": vendor.license(anchor=TODAY, subscription="sub-8"),
    }
    objects = [meter_secret(NAMESPACE), vendor_keys(NAMESPACE, vendor.jwks)]
    for name, licence in licences.items():
        if licence is not None:
            objects.append(secret(NAMESPACE, f"{name}-license", **{"license.jwt": licence}))
        spec = {"license": {"secretRef": {"name": f"{name}-license"}}, "closeGraceHours": 24}
        if name == "suspended":
            spec["suspend"] = "Reporting"
        if name == "private":
            spec["privacy"] = {"dailyCounts": "Withheld", "provisionedCount": "Withheld"}
        objects.append(usage(NAMESPACE, name, spec=spec))
    objects.append(usage(NAMESPACE, "unlicensed"))
    crds.apply(objects)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KUBECONFIG", str(crds.kubeconfig))
        create_pods(NAMESPACE, {n: (product.port, True) for n in (*licences, "unlicensed")})
    operator = Operator(
        crds, NAMESPACE, folder / "operator", vendor_ca_file=vendor.tls.ca_file
    ).start()
    yield operator, vendor
    operator.stop()
    vendor.stop()
    liar.close()
    product.close()


@pytest.mark.parametrize("name", list(BAD_LICENCES))
def test_a_bad_first_licence_is_said_and_nothing_can_be_counted(stage, name):
    operator, _ = stage
    _, reason, words = BAD_LICENCES[name]
    seen = operator.wait_condition(name, "Licensed", "False", reason)
    assert words in seen["message"]
    assert "Traceback" not in seen["message"]
    status = operator.status(name)
    assert status["activeText"] == "unknown"
    assert "cycle" not in status
    kinds = {c["type"]: c["status"] for c in status["conditions"]}
    assert kinds["Ready"] == "False"
    assert kinds["Stalled"] == "True"
    assert "Reconciling" not in kinds


def test_a_licence_gives_number_entitlement_and_an_accepted_interim(stage):
    operator, _ = stage
    operator.wait_condition("good", "Reported", "True", "ReportAccepted")
    status = operator.status("good")
    assert (status["activeUsers"], status["maximumActiveUsers"]) == (2, 500)
    assert status["lastReport"]["kind"] == "Interim"


def test_what_is_withheld_is_not_sent_and_stays_in_the_status(stage):
    operator, _ = stage
    operator.wait_condition("private", "Reported", "True", "ReportAccepted")
    tokens = {r["spec"]["usageName"]: r["spec"]["token"] for r in operator.reports()}
    private, good = (read_report(tokens[name]).content for name in ("private", "good"))
    assert (private.daily_active_users, private.provisioned_users) == (None, None)
    assert good.provisioned_users == 2
    assert private.active_users == good.active_users == 2
    assert operator.status("private")["provisionedUsers"] == 2


def test_a_preview_states_what_reports_state_and_signs_nothing(stage):
    operator, vendor = stage
    operator.wait_condition("private", "Reported", "True", "ReportAccepted")
    (last,) = [r for r in operator.reports() if r["spec"]["usageName"] == "private"]
    command = ("report", "preview", "private", "-n", NAMESPACE)
    done = forked.run(*command, env=operator.env, code=0)
    assert "nothing was signed" in done.stderr
    claims, sent = json.loads(done.stdout), decode(last["spec"]["token"])[1]
    assert claims["chain"]["sequence"] == sent["chain"]["sequence"] + 1
    assert claims["chain"]["previous"] == digest(last["spec"]["token"])
    later = ("iat", "jti", "chain", "coverage", "clock")
    assert claims["cycle"] | {"asOf": 0} == sent["cycle"] | {"asOf": 0}
    assert claims.keys() == sent.keys()
    assert [name for name in sent if claims[name] != sent[name] and name not in later] in (
        [],
        ["cycle"],
    )
    assert len([r for r in operator.reports() if r["spec"]["usageName"] == "private"]) == 1
    assert vendor.chain(claims["chain"]["id"]) == [last["spec"]["token"]]


@pytest.mark.parametrize(
    ("name", "words"),
    [("absent-one", "There is no LicenseUsage"), ("unlicensed", "has no valid licence")],
)
def test_a_preview_that_cannot_be_made_says_why(stage, name, words):
    operator, _ = stage
    operator.wait_condition("unlicensed", "Collected", "True")
    command = ("report", "preview", name, "-n", NAMESPACE)
    done = forked.run(*command, env=operator.env, code=3)
    assert words in done.stderr


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("unreachable", "EndpointUnreachable"),
        ("lying", "ReceiptInvalid"),
        ("untrusted", "TLSFailed"),
        ("suspended", "Suspended"),
    ],
)
def test_a_vendors_trouble_is_said_and_never_touches_ready_or_the_number(stage, name, reason):
    operator, _ = stage
    seen = operator.wait_condition(name, "Reported", "False", reason)
    assert "hotel" not in seen["message"]
    assert operator.condition(name, "Ready")["status"] == "True"
    assert operator.status(name)["activeUsers"] == 2
    assert operator.condition(name, "Stalled") is None


def test_without_an_address_reports_wait_for_an_export_and_nothing_is_wrong(stage):
    operator, _ = stage
    operator.wait_condition("offline", "Reported", "True", "Exported")

    def waits():
        of_it = [one for one in operator.reports() if one["spec"]["usageName"] == "offline"]
        return [one for one in of_it if one.get("status", {}).get("reason") == "Offline"]

    (report,) = until(waits)
    assert report["status"]["delivery"] == "Pending"
    assert operator.condition("offline", "Ready")["status"] == "True"


def test_an_overage_is_said_and_never_makes_ready_false(stage):
    operator, _ = stage
    operator.wait_condition("exceeded", "WithinEntitlement", "False", "MaximumExceeded")
    assert operator.condition("exceeded", "Ready")["status"] == "True"


def known_licences(vendor):
    """The ids of the licences that the receiver has registered."""
    with sqlite3.connect(f"file:{vendor.folder}/receiver.sqlite?mode=ro", uri=True) as database:
        return {id_ for (id_,) in database.execute("select license_id from licenses")}


def test_a_renewed_licence_reaches_the_vendor_before_any_report_is_due(stage, crds):
    operator, vendor = stage
    operator.wait_condition("exceeded", "Reported", "True", "ReportAccepted")
    held = vendor.documents()
    renewed = vendor.license(
        anchor=TODAY, subscription="sub-7", license_id="of/second:year", maximum_active_users=2
    )
    crds.apply(secret(NAMESPACE, "exceeded-license", **{"license.jwt": renewed}))
    until(lambda: "of/second:year" in known_licences(vendor), 150)
    assert operator.status("exceeded")["maximumActiveUsers"] == 2
    operator.wait_condition("exceeded", "WithinEntitlement", "True")
    assert vendor.documents() == held


def test_while_suspended_no_report_is_made_and_afterwards_it_is(stage, crds):
    operator, _ = stage
    assert not [r for r in operator.reports() if r["spec"]["usageName"] == "suspended"]
    patch = ("patch", "lu", "suspended", "-n", NAMESPACE, "--type=merge", "-p")
    crds.kubectl(*patch, '{"spec": {"suspend": "None"}}')
    operator.wait_condition("suspended", "Reported", "True", "ReportAccepted")


def test_without_a_licence_there_is_a_number_and_neither_licensed_nor_reported(stage):
    operator, _ = stage
    operator.wait_condition("unlicensed", "Ready", "True")
    kinds = {c["type"] for c in operator.status("unlicensed")["conditions"]}
    assert kinds == {"Ready", "Collected"}
    assert operator.status("unlicensed")["activeUsers"] == 2
    assert not [r for r in operator.reports() if r["spec"]["usageName"] == "unlicensed"]


def test_a_licence_that_turns_bad_later_never_stops_counting(stage, crds):
    operator, _ = stage
    operator.wait_condition("good", "Licensed", "True")
    crds.apply(secret(NAMESPACE, "good-license", **{"license.jwt": "broken"}))
    ask = f"licenseusage.dev/requested-at={time.time_ns()}"
    crds.kubectl("annotate", "--overwrite", "lu/good", "-n", NAMESPACE, ask)
    seen = operator.wait_condition("good", "Licensed", "False", "MalformedToken")
    assert "Until then licence lic-" in seen["message"]
    assert "counting and reporting go on" in seen["message"]
    status = operator.status("good")
    assert status["activeUsers"] == 2
    assert status["maximumActiveUsers"] == 500
    assert operator.condition("good", "Collected")["status"] == "True"


def test_a_first_licence_that_arrives_by_mail_starts_counting(stage, crds):
    operator, vendor = stage
    licence = vendor.license(anchor=TODAY, subscription="sub-8")
    folded = "\r\n".join(licence[at : at + 76] for at in range(0, len(licence), 76))
    by_mail = f'\ufeff# as it came\r\n"{folded}"\r\n'
    crds.apply(secret(NAMESPACE, "absent-license", **{"license.jwt": by_mail}))
    ask = f"licenseusage.dev/requested-at={time.time_ns()}"
    crds.kubectl("annotate", "--overwrite", "lu/absent", "-n", NAMESPACE, ask)
    until(lambda: operator.status("absent").get("activeUsers") == 2, 30)
    operator.wait_condition("absent", "Ready", "True")


def test_trouble_is_waited_for_and_not_asked_for_again_and_again(stage):
    operator, _ = stage
    before = operator.reconciles()
    time.sleep(6)
    # 14 objects are looked at about once a minute; the unreachable vendors are tried again.
    assert operator.reconciles() - before <= 14


def test_no_traceback_reaches_log_or_status(stage, crds):
    operator, _ = stage
    told = (
        operator.log.read_text()
        + crds.kubectl("get", "lu,ur", "-n", NAMESPACE, "-o", "yaml").stdout
    )
    assert "Traceback" not in told
    assert '"exception"' not in told
