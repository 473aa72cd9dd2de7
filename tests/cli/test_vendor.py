"""``vendor keygen``: private files stay private, and nothing is ever overwritten."""

import json
import stat

import yaml

FILES = ["jwks.json", "license.jwk", "licenseusage-vendor-keys.yaml", "receipt.jwk"]


def test_keygen_writes_four_files(keys):
    assert sorted(path.name for path in keys.iterdir()) == FILES


def test_private_keys_are_for_the_owner_only(keys):
    for name in ("license.jwk", "receipt.jwk"):
        assert stat.S_IMODE((keys / name).stat().st_mode) == 0o600


def test_private_keys_are_for_the_owner_only_whatever_the_umask(run_process, tmp_path):
    folder = tmp_path / "k"
    assert run_process("vendor", "keygen", "-o", folder, umask=0).code == 0
    assert stat.S_IMODE((folder / "license.jwk").stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_public_files_hold_no_private_key(keys):
    private = [json.loads((keys / name).read_text())["d"] for name in FILES if "jwk" in name[-4:]]
    assert len(private) == 2
    for name in ("jwks.json", "licenseusage-vendor-keys.yaml"):
        text = (keys / name).read_text()
        assert not any(secret in text for secret in private)


def test_each_key_may_sign_one_type(keys):
    jwks = json.loads((keys / "jwks.json").read_text())["keys"]
    assert [key["usage_types"] for key in jwks] == [["usage-license+jwt"], ["usage-receipt+jwt"]]
    for key in jwks:
        assert set(key) == {"kty", "crv", "x", "kid", "alg", "use", "usage_types"}
        assert (key["alg"], key["use"]) == ("Ed25519", "sig")


def test_configmap_carries_the_same_jwks(keys):
    manifest = yaml.safe_load((keys / "licenseusage-vendor-keys.yaml").read_text())
    assert (manifest["kind"], manifest["metadata"]["name"]) == (
        "ConfigMap",
        "licenseusage-vendor-keys",
    )
    assert json.loads(manifest["data"]["jwks.json"]) == json.loads((keys / "jwks.json").read_text())


def test_nothing_is_overwritten(run, keys):
    before = {path.name: path.read_bytes() for path in keys.iterdir()}
    (keys / "license.jwk").unlink()
    done = run("vendor", "keygen", "-o", keys)
    assert done.code == 3
    assert done.err.startswith("error: FileExists: ")
    assert not (keys / "license.jwk").exists()
    assert all(path.read_bytes() == before[path.name] for path in keys.iterdir())


def test_a_folder_that_cannot_be_made_is_named(run, tmp_path):
    (tmp_path / "file").write_text("")
    done = run("vendor", "keygen", "-o", tmp_path / "file" / "keys")
    assert (done.code, "Traceback" in done.err) == (3, False)
    assert "file" in done.err


def test_keygen_without_a_folder_is_a_usage_error(run):
    assert run("vendor", "keygen").code == 2
