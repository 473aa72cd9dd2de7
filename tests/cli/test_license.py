"""``license issue``, ``show``, ``verify``: what one side signs, the other accepts."""

import json

import pytest
import yaml


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
        (["--length-days", 63], "CycleUnsupported"),
        (["--length-months", 3, "--anchor-date", "2026-01-01"], "CycleUnsupported"),
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
    for path, reason in (("none.jwk", "Unreadable"), ("bad.jwk", "KeyInvalid")):
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
