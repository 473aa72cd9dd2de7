"""``license issue``, ``show``, ``verify``: what one side signs, the other accepts."""

import json
from base64 import b64encode

import pytest
import yaml

from tests.cli.test_vectors import At
from tests.delivery.people import NOW_S, VENDOR_KEYS
from tests.reports.test_intake import AS_BROUGHT


@pytest.fixture
def license_file(issue, tmp_path):
    path = tmp_path / "license.jwt"
    path.write_text(issue("--maximum-active-users", 500).out)
    return path


def test_an_issued_licence_verifies(run, keys, license_file):
    done = run("license", "verify", license_file, "--vendor-keys", keys / "online" / "jwks.json")
    assert done.code == 0
    assert done.out.endswith("VALID\n")
    assert "maximum active users  500" in done.out


def test_a_licence_verifies_against_the_configmap(run, keys, license_file):
    configmap = keys / "online" / "licenseusage-vendor-keys.yaml"
    assert run("license", "verify", license_file, "--vendor-keys", configmap).code == 0


def test_every_option_reaches_the_claims(run, issue):
    token = issue(
        *("--maximum-active-users", 7, "--purpose", "Standby", "--anchor-date", "2026-01-15"),
        *("--length-months", 2, "--endpoint", "https://u.example:8443/usage/", "--id", "lic-9"),
        *("--interval-hours", 6, "--no-reporting-required", "--interim", "Optional"),
        *("--export-days", 30, "--first-key", "A" * 43, "--not-before", "2026-01-01"),
        *("--expires", "2027-01-01T12:00:00Z"),
    ).out
    claims = json.loads(run("license", "show", "-", "--output", "json", stdin=token).out)
    del claims["iat"]
    assert claims == {
        "ver": 1,
        "iss": "https://vendor.example",
        "sub": "sub-1",
        "jti": "lic-9",
        "nbf": 1767225600,
        "exp": 1798804800,
        "product": "acme",
        "maximumActiveUsers": 7,
        "purpose": "Standby",
        "cycle": {"anchorDate": "2026-01-15", "lengthMonths": 2},
        "reporting": {
            "endpoint": "https://u.example:8443/usage",
            "intervalHours": 6,
            "required": False,
            "versions": [1],
            "interim": "Optional",
            "exportDays": 30,
        },
        "cnf": {"jkt": "A" * 43},
    }


def test_a_secret_manifest_carries_the_token(run, keys, issue, tmp_path):
    manifest = issue("--secret", "acme-license", "--namespace", "acme").out
    secret = yaml.safe_load(manifest)
    assert secret["metadata"] == {"name": "acme-license", "namespace": "acme"}
    assert set(secret["stringData"]) == {"license.jwt"}
    path = tmp_path / "secret.yaml"
    path.write_text(manifest)
    assert run("license", "verify", path, "--vendor-keys", keys / "online" / "jwks.json").code == 0


def test_a_secret_as_kubectl_prints_it_is_read(run, keys, license_file):
    from base64 import b64encode

    data = {"license.jwt": b64encode(license_file.read_bytes()).decode()}
    secret = json.dumps({"kind": "Secret", "metadata": {"name": "x"}, "data": data})
    done = run(
        "license", "verify", "-", "--vendor-keys", keys / "online" / "jwks.json", stdin=secret
    )
    assert done.code == 0


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--product", "other"], "LicenseMismatch"),
        (["--expires", "2020-01-02", "--not-before", "2020-01-01"], "LicenseExpired"),
        (["--not-before", "2199-01-01", "--expires", "2199-01-02"], "LicenseNotYetValid"),
    ],
)
def test_a_licence_that_cannot_be_used_is_not_ok(run, keys, issue, tmp_path, arguments, error):
    path = tmp_path / "license.jwt"
    path.write_text(issue(*arguments).out)
    done = run(
        *(
            "license",
            "verify",
            path,
            "--vendor-keys",
            keys / "online" / "jwks.json",
            "--product",
            "acme",
        )
    )
    assert done.code == 1
    assert done.out.startswith(f"NOT VALID  {error}: ")


def test_a_licence_of_another_vendor_is_not_ok(run, license_file, tmp_path):
    run("vendor", "keygen", "-o", tmp_path / "other")
    done = run(
        "license",
        "verify",
        license_file,
        "--vendor-keys",
        tmp_path / "other" / "online" / "jwks.json",
    )
    assert done.code == 1
    assert "KeyUnknown" in done.out


def test_a_licence_signed_by_the_receipt_key_is_not_ok(run, keys, tmp_path):
    path = tmp_path / "license.jwt"
    path.write_text(
        run(
            *("license", "issue", "--key", keys / "online" / "receipt.jwk", "--vendor", "v"),
            *("--subscription", "s", "--product", "p"),
        ).out
    )
    done = run(
        "license",
        "verify",
        path,
        "--vendor-keys",
        keys / "online" / "jwks.json",
        "--output",
        "json",
    )
    assert done.code == 1
    assert json.loads(done.out)["error"] == "KeyNotPermitted"


@pytest.mark.parametrize(
    "arguments",
    [
        ["--length-days", "0"],
        ["--length-days", "30", "--length-months", "1"],
        ["--length-months", "1", "--anchor-date", "2026-01-31"],
        ["--anchor-date", "2026-02-30"],
        ["--anchor-date", "yesterday"],
        ["--endpoint", "http://usage.vendor.example"],
        ["--endpoint", "https://user@usage.vendor.example"],
        ["--interval-hours", "0"],
        ["--purpose", "Fun"],
        ["--interim", "Never"],
        ["--not-before", "2026-01-01T00:00:00"],
        ["--not-before", "2026-01-02", "--expires", "2026-01-01"],
        ["--first-key", "short"],
        ["--maximum-active-users", "-1"],
        ["--secret", "x"],
        ["--namespace", "x"],
    ],
    ids=" ".join,
)
def test_terms_that_are_no_licence_are_a_usage_error(issue, arguments):
    done = issue(*arguments)
    assert (done.code, done.out) == (2, "")
    assert "Traceback" not in done.err


def test_a_key_that_is_missing_or_no_key_is_undetermined(run, tmp_path):
    (tmp_path / "bad.jwk").write_text("{}")
    for path, reason in (("none.jwk", "FileUnreadable"), ("bad.jwk", "KeyInvalid")):
        done = run(
            *("license", "issue", "--key", tmp_path / path, "--vendor", "v"),
            *("--subscription", "s", "--product", "p"),
        )
        assert done.code == 3
        assert done.err.startswith(f"error: {reason}: ")


@pytest.mark.parametrize("text", ["", "hello", "{}", "a.b.c", "- [", "kind: Secret"])
def test_text_that_is_no_licence_is_never_a_traceback(run, keys, text):
    done = run("license", "verify", "-", "--vendor-keys", keys / "online" / "jwks.json", stdin=text)
    assert done.code in (1, 3)
    assert "Traceback" not in done.err


def test_vendor_keys_with_a_private_key_are_refused_loudly(run, keys, license_file, tmp_path):
    leaked = tmp_path / "leaked.json"
    leaked.write_text(f'{{"keys": [{(keys / "offline" / "license.jwk").read_text()}]}}')
    done = run("license", "verify", license_file, "--vendor-keys", leaked)
    assert done.code == 3
    assert "PRIVATE" in done.err
    assert json.loads((keys / "offline" / "license.jwk").read_text())["d"] not in done.err


@pytest.mark.parametrize("length", [("--length-days", 63), ("--length-months", 3)])
def test_cycles_that_no_operator_takes_are_not_issued(issue, length):
    done = issue(*length, "--anchor-date", "2026-01-01")
    assert done.code == 2
    assert "62 days" in done.err
    assert issue("--length-days", 62).code == 0


def test_a_licence_without_an_endpoint_is_issued_with_a_warning(issue):
    done = issue()
    assert done.code == 0
    assert done.err.startswith("warning: without --endpoint")
    assert done.out.count(".") == 2  # the token and nothing else
    assert issue("--endpoint", "https://usage.vendor.example").err == ""


@pytest.mark.parametrize(
    ("arguments", "option", "words"),
    [
        (["--vendor", "acme corp"], "--vendor", "letters, digits and . _ : / -"),
        (["--subscription", "n\u00ba 5"], "--subscription", "letters, digits"),
        (["--product", "-x"], "--product", "a letter or digit first"),
        (["--id", "a" * 129], "--id", "at most 128"),
        (["--endpoint", "http://usage.example"], "--endpoint", "https://HOST"),
        (["--endpoint", "https://u:p@usage.example"], "--endpoint", "no user, query"),
        (["--first-key", "abc"], "--first-key", "43 letters"),
        (["--interval-hours", "0"], "--interval-hours", "from 1 to 744"),
        (["--purpose", "Test"], "--purpose", "NonProduction"),
    ],
)
def test_a_value_that_does_not_fit_is_told_with_its_option_and_what_fits(
    issue, arguments, option, words
):
    done = issue(*arguments)
    assert done.code == 2
    said = " ".join(done.err.replace("\u2502", " ").split())
    assert option in said
    assert words in said


@pytest.mark.parametrize("variant", AS_BROUGHT)
def test_license_verify_reads_a_licence_as_the_operator_does(run, tmp_path, variant, monkeypatch):
    from licenseusage.cli import license as command

    monkeypatch.setattr(command, "clock_from", lambda _env: At(NOW_S))
    (tmp_path / "license.jwt").write_bytes(AS_BROUGHT[variant])
    (tmp_path / "jwks.json").write_text(VENDOR_KEYS.to_jwks())
    done = run("license", "verify", "license.jwt", "--vendor-keys", "jwks.json")
    assert (done.code, done.out.splitlines()[-1]) == (0, "VALID")
    data = {"license.jwt": b64encode(AS_BROUGHT[variant]).decode()}
    secret = json.dumps({"kind": "Secret", "metadata": {"name": "x"}, "data": data})
    done = run("license", "verify", "-", "--vendor-keys", "jwks.json", stdin=secret)
    assert done.code == 0


def test_what_is_no_licence_is_not_ok_and_says_why(run, tmp_path):
    (tmp_path / "jwks.json").write_text(VENDOR_KEYS.to_jwks())
    for text in ("see the attachment", "<html>", ""):
        (tmp_path / "license.jwt").write_text(text)
        done = run("license", "verify", "license.jwt", "--vendor-keys", "jwks.json")
        assert done.code == 1
        assert done.out.startswith("NOT VALID  MalformedToken: it is ")
