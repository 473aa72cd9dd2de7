"""``vendor keygen``: private files stay private, and nothing is ever overwritten."""

import json
import stat

import yaml

ONLINE = ["jwks.json", "licenseusage-vendor-keys.yaml", "receipt.jwk"]
PUBLIC = ["online/jwks.json", "online/licenseusage-vendor-keys.yaml"]
PRIVATE = ["offline/license.jwk", "online/receipt.jwk"]


def test_keygen_writes_what_goes_on_line_and_what_stays_off_line_into_two_folders(keys):
    assert sorted(path.name for path in keys.iterdir()) == ["offline", "online"]
    assert sorted(path.name for path in (keys / "online").iterdir()) == ONLINE
    assert [path.name for path in (keys / "offline").iterdir()] == ["license.jwk"]


def test_private_keys_are_for_the_owner_only(keys):
    for name in PRIVATE:
        assert stat.S_IMODE((keys / name).stat().st_mode) == 0o600


def test_private_keys_are_for_the_owner_only_whatever_the_umask(run_process, tmp_path):
    folder = tmp_path / "k"
    assert run_process("vendor", "keygen", "-o", folder, umask=0).code == 0
    for name in PRIVATE:
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600
    for made in (folder, folder / "online", folder / "offline"):
        assert stat.S_IMODE(made.stat().st_mode) == 0o700


def test_public_files_hold_no_private_key(keys):
    private = [json.loads((keys / name).read_text())["d"] for name in PRIVATE]
    for name in PUBLIC:
        text = (keys / name).read_text()
        assert not any(secret in text for secret in private)


def test_each_key_may_sign_one_type(keys):
    jwks = json.loads((keys / "online/jwks.json").read_text())["keys"]
    assert [key["usage_types"] for key in jwks] == [["usage-license+jwt"], ["usage-receipt+jwt"]]
    for key in jwks:
        assert set(key) == {"kty", "crv", "x", "kid", "alg", "use", "usage_types"}
        assert (key["alg"], key["use"]) == ("Ed25519", "sig")


def test_configmap_carries_the_same_jwks(keys):
    manifest = yaml.safe_load((keys / "online/licenseusage-vendor-keys.yaml").read_text())
    assert (manifest["kind"], manifest["metadata"]["name"]) == (
        "ConfigMap",
        "licenseusage-vendor-keys",
    )
    assert json.loads(manifest["data"]["jwks.json"]) == json.loads(
        (keys / "online/jwks.json").read_text()
    )


def test_nothing_is_overwritten(run, keys):
    before = {path: path.read_bytes() for path in keys.rglob("*") if path.is_file()}
    (keys / "offline/license.jwk").unlink()
    done = run("vendor", "keygen", "-o", keys)
    assert done.code == 3
    assert done.err.startswith("error: FileExists: ")
    assert not (keys / "offline/license.jwk").exists()
    left = [path for path in keys.rglob("*") if path.is_file()]
    assert len(left) == len(before) - 1
    assert all(path.read_bytes() == before[path] for path in left)


def test_a_folder_that_cannot_be_made_is_named(run, tmp_path):
    (tmp_path / "file").write_text("")
    done = run("vendor", "keygen", "-o", tmp_path / "file" / "keys")
    assert (done.code, "Traceback" in done.err) == (3, False)
    assert "file" in done.err


def test_keygen_without_a_folder_is_a_usage_error(run):
    assert run("vendor", "keygen").code == 2


def test_licences_are_issued_from_the_folder_that_stays_off_line(run, keys):
    terms = ("--vendor", "v", "--subscription", "s", "--product", "acme")
    for folder in (keys, keys / "offline"):
        assert run("license", "issue", "--keys", folder, *terms).code == 0
    assert run("license", "issue", "--keys", keys / "online", *terms).code == 3
