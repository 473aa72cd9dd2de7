"""Every vector through the command line: what an auditor is told by `verify`, class by class.

The vectors judge documents as they came over the network. An auditor has files, and some of what
the network forbids is no fault there: ``IN_FILES`` names each such vector and says why.
"""

import json
from base64 import urlsafe_b64decode
from dataclasses import replace

import pytest

from licenseusage.cli import bundle as bundle_command
from licenseusage.cli import license as license_command
from licenseusage.cli import report as report_command
from licenseusage.reports.enrolment import build_enrolment
from licenseusage.reports.keys import SigningKey
from licenseusage.reports.licence import build_license, read_license
from licenseusage.reports.names import Link, digest
from licenseusage.reports.receipt import ReceiptInput, ReceiptVerdict, Sent, build_receipt
from licenseusage.reports.tokens import decode
from tests.reports.conformance import TOKENS, VECTORS, VENDOR_KEYS, context

CASES = [*VECTORS["valid"], *VECTORS["invalid"]]
ABOUT_LICENCES = [case for case in CASES if case["verify"] == "license"]
BUNDLES = [case for case in CASES if case["verify"] == "bundle"]
HISTORIES = [case for case in CASES if case["verify"] == "chain"]
ABOUT_REPORTS = [case for case in CASES if case["verify"] != "license"]
IN_FILES = {
    # A line end is how text files end.
    "token-trailing-newline": "Valid",
    # What a document says it is decides how it is judged: as a receipt, here.
    "typ-receipt": "KeyUnknown",
    # A bundle without its manifest is a file of tokens; a file without any token is damaged.
    "bundle-without-manifest": "Valid",
    "bundle-too-many-lines": "MalformedToken",
    # Documents of two chains in one folder are two chains; the second has a hole.
    "chain-of-two-objects": "ChainGap",
    # What the vendor refused is not in order, although the chain that holds it is.
    "chain-rejected-report-is-a-link": "CountsInconsistent",
    "receipt-rejected": "CountsInconsistent",
    "receipt-conflict": "ReportConflict",
    # A vendor's head that is not what is held is a fault of the chain.
    "receipt-head-forked": "ChainForked",
    "receipt-head-ahead": "ChainTruncated",
    # No operator can meter such a cycle.
    "license-twelve-months": "CycleUnsupported",
}
KEYS = {
    name: SigningKey.from_seed(urlsafe_b64decode(seed + "=" * (-len(seed) % 4)))
    for name, seed in VECTORS["privateSeeds"].items()
}
BY_DIGEST = {digest(token): token for token in TOKENS.values() if token.isascii()}
LICENSE = read_license(TOKENS["license"], VENDOR_KEYS)


def expected(case):
    return IN_FILES.get(case["name"], case["expect"])


def ids(cases):
    return [case["name"] for case in cases]


class Desk:
    """An auditor's folder: one file for each document, and the vendor's keys."""

    def __init__(self, folder, case):
        self.folder, self.context, self.number = folder, context(case), 0
        self.arguments = ["--vendor-keys", self.file(json.dumps(VECTORS["context"]["vendorJwks"]))]

    def file(self, text):
        self.number += 1
        path = self.folder / f"{self.number}.txt"
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        return path.name

    def all_keys(self):
        """Every key statement that there was at the case's time."""
        succeeded = decode(TOKENS["succession"])[1]["iat"] <= self.context.now_s
        self.enrolments("enrolment", *(["succession"] if succeeded else []))

    def enrolments(self, *own):
        """Key statements of the installation, and of another one that the vendor knows, too."""
        other = build_enrolment(LICENSE, KEYS["otherInstallation"], issued_at_s=1767226200)
        given = [TOKENS[name] for name in own]
        self.arguments += ["--enrolment", self.file("\n".join([*given, other]) + "\n")]
        self.arguments += ["--license", self.file(TOKENS[self.context.raw["license"]])]

    def receipt(self, token, head, verdict=ReceiptVerdict.ACCEPTED, error=None, *, at_s=1767300000):
        """Sign a receipt of a document as the vendor of the vectors would."""
        sent = Sent.from_token(token)
        signed = build_receipt(
            ReceiptInput(
                vendor=sent.vendor,
                installation=sent.installation,
                subscription=sent.subscription,
                receipt_id=f"rcpt-{self.number}",
                issued_at_s=at_s,
                received_at_s=at_s,
                verdict=verdict,
                subject=sent.subject,
                chain_id=sent.chain_id,
                head=head,
                error=error,
            ),
            KEYS["receipt"],
        )
        self.arguments += ["--receipt", self.file(signed)]


def _report(desk, case):
    desk.all_keys()
    return [TOKENS[case["input"]]]


def _chain(desk, case):
    desk.all_keys()
    desk.arguments.append("--complete")
    given = [TOKENS[name] for name in case["input"]]
    for head in desk.context.raw.get("heads", ()):
        desk.receipt(given[0], Link(head["sequence"], head["digest"]))
    for rejected in desk.context.raw.get("rejected", ()):
        token = BY_DIGEST[rejected]
        link = Sent.from_token(token).subject.link
        desk.receipt(token, link, ReceiptVerdict.REJECTED, "CountsInconsistent")
    return given


def _statement(desk, case):
    names = case["input"] if isinstance(case["input"], list) else [case["input"]]
    first = ["enrolment"] if case["verify"] == "succession" else []
    desk.enrolments(*first)
    return [TOKENS[name] for name in names]


def _receipt(desk, case):
    desk.all_keys()
    desk.arguments += ["--receipt", desk.file(TOKENS[case["input"]])]
    history = desk.context.raw["history"]
    if case["expect"] != "Valid":
        return [BY_DIGEST[desk.context.raw["local"]["digest"]]]
    held = [BY_DIGEST[one] for one in history.values()]
    if (before := desk.context.raw.get("acknowledged", 0)) > 1:
        desk.receipt(held[before - 1], Link(before, history[str(before)]))
    return held


def _bundle(desk, case):
    desk.all_keys()
    desk.arguments.append("--complete")
    return [*(TOKENS[name] for name in desk.context.raw.get("held", ())), TOKENS[case["input"]]]


def _register(desk, case):
    desk.all_keys()
    *licences, report = case["input"]
    for name in licences:
        desk.arguments += ["--license", desk.file(TOKENS[name])]
    return [TOKENS[report]]


GIVEN = {
    "register": _register,
    "report": _report,
    "chain": _chain,
    "enrolment": _statement,
    "succession": _statement,
    "keys": _statement,
    "receipt": _receipt,
    "bundle": _bundle,
}


class At:
    """A clock that stands still."""

    def __init__(self, now_s):
        self.now_s = now_s

    def now_ms(self):
        return self.now_s * 1000


@pytest.mark.parametrize("case", ABOUT_REPORTS, ids=ids(ABOUT_REPORTS))
def test_report_verify_names_the_class_of_every_vector(run, tmp_path, monkeypatch, case):
    desk = Desk(tmp_path, case)
    monkeypatch.setattr(report_command, "clock_from", lambda _env: At(desk.context.now_s))
    files = [desk.file(text) for text in GIVEN[case["verify"]](desk, case)]
    done = run("report", "verify", *files, *desk.arguments, "--output", "json")
    checks = json.loads(done.out)["checks"]
    failed = [one["reason"] for one in checks if one["result"] == "FAILED"]
    if expected(case) == "Valid":
        assert (done.code, failed) == (0, [])
    else:
        assert done.code == 1
        assert failed[0] == expected(case)
    if expected(case) == "Valid" and case.get("findings") is not None:
        said = {name for one in checks for name in one["findings"]}
        assert set(case["findings"]) <= said
        if case["verify"] in ("chain", "register"):
            assert said == set(case["findings"])


@pytest.mark.parametrize("case", HISTORIES, ids=ids(HISTORIES))
def test_report_verify_names_the_class_of_every_chain_as_a_history(
    run, tmp_path, monkeypatch, case
):
    """One file of lines, as ``/v1/history`` answers: key statements, reports, receipts."""
    desk = Desk(tmp_path, case)
    monkeypatch.setattr(report_command, "clock_from", lambda _env: At(desk.context.now_s))
    reports = GIVEN[case["verify"]](desk, case)
    lines, arguments = [], []
    desk.arguments.remove("--complete")
    for option, value in zip(desk.arguments[::2], desk.arguments[1::2], strict=True):
        beside = option in ("--enrolment", "--receipt")
        lines += [(tmp_path / value).read_text().strip()] if beside else []
        arguments += [] if beside else [option, value]
    history = desk.file("\n".join([lines[0], *reports, *lines[1:]]) + "\n")
    done = run("report", "verify", history, *arguments, "--complete", "--output", "json")
    checks = json.loads(done.out)["checks"]
    failed = [check["reason"] for check in checks if check["result"] == "FAILED"]
    if expected(case) == "Valid":
        assert (done.code, failed) == (0, [])
    else:
        assert (done.code, failed[:1]) == (1, [expected(case)])


@pytest.mark.parametrize("case", BUNDLES, ids=ids(BUNDLES))
def test_bundle_verify_names_the_class_of_every_vector(run, tmp_path, monkeypatch, case):
    """A bundle is judged as a bundle: no vector is another case in a file."""
    desk = Desk(tmp_path, case)
    monkeypatch.setattr(bundle_command, "clock_from", lambda _env: At(desk.context.now_s))
    desk.all_keys()
    for name in desk.context.raw.get("held", ()):
        desk.arguments += ["--received", desk.file(TOKENS[name])]
    file = desk.file(TOKENS[case["input"]])
    done = run("bundle", "verify", file, *desk.arguments, "--complete", "--output", "json")
    failed = [
        check["reason"] for check in json.loads(done.out)["checks"] if check["result"] == "FAILED"
    ]
    assert (done.code, failed[:1]) == (
        (0, []) if case["expect"] == "Valid" else (1, [case["expect"]])
    )


@pytest.mark.parametrize("case", ABOUT_LICENCES, ids=ids(ABOUT_LICENCES))
def test_license_verify_names_the_class_of_every_vector(run, tmp_path, monkeypatch, case):
    desk = Desk(tmp_path, case)
    monkeypatch.setattr(license_command, "clock_from", lambda _env: At(desk.context.now_s))
    raw = desk.context.raw
    for option in ("product", "installation"):
        if raw.get(option) is not None:
            desk.arguments += [f"--{option}", raw[option]]
    if (before := desk.context.previous) is not None:
        former = replace(LICENSE, subscription=before.subscription, cycle=before.cycle)
        desk.arguments += ["--renews", desk.file(build_license(former, KEYS["licence"]))]
    file = desk.file(TOKENS[case["input"]])
    done = run("license", "verify", file, *desk.arguments, "--output", "json")
    told = json.loads(done.out)
    assert (done.code == 0, told.get("error", "Valid")) == (
        expected(case) == "Valid",
        expected(case),
    )


def test_what_is_no_fault_in_files_is_a_vector():
    assert set(IN_FILES) <= set(ids(CASES))
