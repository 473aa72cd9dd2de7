"""``licenseusage keys export|import|rotate``: one encrypted file; nothing is ever overwritten."""

import base64
import functools
import json
import os
import stat
import sys

import pytest

from licenseusage.cli.agefile import decrypted
from licenseusage.metering.pseudonym import key_id
from tests.delivery.people import INSTALLATION_KEY as FIRST
from tests.reports.test_keyring import ENROLMENT, SECOND, SUCCESSION

PASSPHRASE = "correct horse battery staple"
PSEUDONYM = b"p" * 32
SYSTEM = "licenseusage-system"
IDENTITY, PSEUDONYMS = "licenseusage-identity", "licenseusage-pseudonym"

KUBECTL = f"""#!{sys.executable} -ISB
import base64, json, os, sys
store, arguments = os.environ["STORE"], sys.argv[1:]
with open(os.path.join(store, "asked"), "a") as log:
    log.write(json.dumps(arguments) + "\\n")
def path(namespace, name):
    return os.path.join(store, namespace + "." + name)
def namespace():
    return [a.split("=", 1)[1] for a in arguments if a.startswith("--namespace=")][0]
if os.path.exists(os.path.join(store, "readonly")) and arguments[0] != "get":
    sys.exit('Error from server (Forbidden): secrets is forbidden')
if arguments[0] == "create":
    made = json.load(sys.stdin)
    file = path(made["metadata"]["namespace"], made["metadata"]["name"])
    if os.path.exists(file):
        sys.exit("Error from server (AlreadyExists)")
    json.dump(made, open(file, "w"))
    sys.exit(0)
file = path(namespace(), arguments[2])
if not os.path.exists(file):
    sys.exit(f'Error from server (NotFound): {{arguments[1]}}s "{{arguments[2]}}" not found')
seen = json.load(open(file))
if arguments[0] == "get":
    print(json.dumps(seen))
else:
    patch = json.loads([a for a in arguments if a.startswith("--patch=")][0][len("--patch="):])
    for name, value in patch["stringData"].items():
        seen["data"][name] = base64.b64encode(value.encode()).decode()
    json.dump(seen, open(file, "w"))
"""


class Cluster:
    """Secrets and ConfigMaps behind a `kubectl`."""

    def __init__(self, folder):
        self.store = folder / "store"
        self.store.mkdir()
        program = folder / "bin" / "kubectl"
        program.parent.mkdir()
        program.write_text(KUBECTL)
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        self.path = f"{program.parent}:{os.environ['PATH']}"

    def put(self, name, kind="Secret", namespace=SYSTEM, **data):
        if kind == "Secret":
            data = {key: base64.b64encode(value).decode() for key, value in data.items()}
        meta = {"name": name, "namespace": namespace}
        (self.store / f"{namespace}.{name}").write_text(
            json.dumps({"kind": kind, "metadata": meta, "data": data})
        )

    def keys(self, identity=FIRST, pseudonym=PSEUDONYM, statements=(ENROLMENT,), **more):
        text = "".join(f"{token}\n" for token in statements).encode()
        values = {"private.jwk": identity.to_jwk().encode(), "statements": text, **more}
        self.put(IDENTITY, **values)
        self.put(PSEUDONYMS, key=pseudonym)

    def secret(self, name, namespace=SYSTEM):
        file = self.store / f"{namespace}.{name}"
        data = json.loads(file.read_text())["data"] if file.exists() else {}
        return {key: base64.b64decode(value) for key, value in data.items()}

    def remove(self):
        for name in (IDENTITY, PSEUDONYMS):
            (self.store / f"{SYSTEM}.{name}").unlink(missing_ok=True)

    def asked(self):
        return (self.store / "asked").read_text()


opened_once = functools.cache(decrypted)  # a passphrase costs seconds each time


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    made = Cluster(tmp_path)
    monkeypatch.setattr("licenseusage.cli.keyfile.decrypted", opened_once)
    monkeypatch.setenv("PATH", made.path)
    monkeypatch.setenv("STORE", str(made.store))
    return made


@pytest.fixture
def keys(run, cluster):
    """Run ``keys …`` with a passphrase on standard input."""

    def ran(*arguments, phrase=PASSPHRASE):
        return run("keys", *arguments, "--passphrase-file", "-", stdin=f"{phrase}\n")

    return ran


_made = {}  # one export for all who only read it


@pytest.fixture
def exported(cluster, keys, tmp_path):
    file = tmp_path / "keys.age"
    cluster.keys()
    if not _made:
        done = keys("export", "-o", file.name)
        assert done.code == 0, done.err
        _made.update(file=file.read_bytes(), mark=cluster.secret(IDENTITY)["exported"])
    file.write_bytes(_made["file"])
    cluster.keys(exported=_made["mark"])
    return file


def test_what_is_exported_is_imported_as_it_was(cluster, keys, exported):
    before = cluster.secret(IDENTITY), cluster.secret(PSEUDONYMS)
    cluster.remove()
    done = keys("import", "keys.age")
    assert done.code == 0, done.err
    assert done.out.splitlines() == [
        f"created Secret {SYSTEM}/{IDENTITY}",
        f"created Secret {SYSTEM}/{PSEUDONYMS}",
    ]
    assert (cluster.secret(IDENTITY), cluster.secret(PSEUDONYMS)) == before
    again = keys("import", "keys.age")
    assert again.code == 0
    assert again.out.count("holds the same key: unchanged") == 2


def test_nothing_of_a_key_is_in_the_file_the_output_or_an_argument(cluster, keys, tmp_path):
    cluster.keys()
    keys("export", "-o", "keys.age")
    exported = tmp_path / "keys.age"
    private = json.loads(FIRST.to_jwk())["d"]
    assert exported.read_bytes().startswith(b"age-encryption.org/v1\n-> scrypt ")
    done = keys("import", "keys.age", "--check")
    for text in (exported.read_bytes().decode("latin-1"), done.out, done.err, cluster.asked()):
        assert private not in text
        assert base64.b64encode(FIRST.to_jwk().encode()).decode()[:60] not in text
        assert PASSPHRASE not in text
    assert f"identity key {FIRST.kid}, pseudonym key {key_id(PSEUDONYM)}" in done.err
    assert "enrolled subscriptions: sub-1" in done.err


def test_the_operator_is_told_which_keys_were_exported(cluster, exported):
    time, *ids = cluster.secret(IDENTITY)["exported"].decode().split()
    assert ids == [FIRST.kid, key_id(PSEUDONYM)]
    assert time.endswith("Z")


def test_an_export_that_cannot_be_noted_is_whole_all_the_same(cluster, keys, tmp_path):
    cluster.keys()
    (cluster.store / "readonly").touch()
    done = keys("export", "-o", "keys.age")
    assert done.code == 0
    assert "note: the operator was not told" in done.err
    assert (tmp_path / "keys.age").exists()


def test_a_wrong_passphrase_changes_nothing(cluster, keys, exported):
    cluster.remove()
    done = keys("import", "keys.age", phrase="correct horse battery stable")
    assert done.code == 3
    assert done.err == (
        "error: PassphraseWrong: The passphrase does not open keys.age. Nothing was changed.\n"
    )
    assert cluster.secret(IDENTITY) == {}


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda data: b"-----BEGIN PRIVATE KEY-----", "is no file that `licenseusage keys export`"),
        (lambda data: b"", "is no file that `licenseusage keys export`"),
        (lambda data: data[:-7], "was cut or damaged"),
        (lambda data: data[:60], "was cut or damaged"),
    ],
)
def test_what_is_no_whole_export_is_told_from_a_wrong_passphrase(
    cluster, keys, exported, damage, words
):
    exported.write_bytes(damage(exported.read_bytes()))
    done = keys("import", "keys.age", "--check")
    assert done.code == 3
    assert "KeyFileInvalid" in done.err
    assert words in done.err


def test_another_identity_is_never_overwritten(cluster, keys, exported):
    cluster.remove()
    cluster.put(IDENTITY, **{"private.jwk": SECOND.to_jwk().encode()})
    done = keys("import", "keys.age")
    assert done.code == 3
    assert f"Secret {SYSTEM}/{IDENTITY} holds key {SECOND.kid}, and the file key {FIRST.kid}" in (
        done.err
    )
    assert "Nothing was changed" in done.err
    assert cluster.secret(PSEUDONYMS) == {}, "not half of it either"


def test_an_export_from_before_a_rotation_is_named_as_outdated(cluster, keys, exported):
    cluster.keys(SECOND, statements=(ENROLMENT, SUCCESSION))
    done = keys("import", "keys.age")
    assert done.code == 3
    assert "It has succeeded the file's key, so that the file is outdated" in done.err


def test_another_pseudonym_key_is_never_overwritten(cluster, keys, exported):
    cluster.remove()
    cluster.put(PSEUDONYMS, key=b"q" * 32)
    done = keys("import", "keys.age")
    assert done.code == 3
    assert f"holds pseudonym key {key_id(b'q' * 32)}" in done.err
    assert cluster.secret(IDENTITY) == {}


def test_both_keys_of_a_rotation_under_way_are_in_it(cluster, keys, tmp_path):
    cluster.keys(
        FIRST, statements=(ENROLMENT, SUCCESSION), **{"next.jwk": SECOND.to_jwk().encode()}
    )
    assert keys("export", "-o", "keys.age").code == 0
    done = keys("import", "keys.age", "--check")
    assert f"identity key {FIRST.kid} and identity key {SECOND.kid}" in done.err


def test_a_missing_secret_is_named(cluster, keys):
    cluster.put(IDENTITY, **{"private.jwk": FIRST.to_jwk().encode()})
    done = keys("export", "-o", "keys.age")
    assert done.code == 3
    assert f"SecretNotFound: Secret {SYSTEM}/{PSEUDONYMS} does not exist" in done.err


def test_a_short_passphrase_protects_nothing(cluster, keys, tmp_path):
    cluster.keys()
    done = keys("export", "-o", "keys.age", phrase="hunter2")
    assert done.code == 3
    assert "PassphraseUnusable: The passphrase has 7 characters; 12 are needed" in done.err
    assert not (tmp_path / "keys.age").exists()


def test_without_a_terminal_the_passphrase_needs_a_file(run, cluster):
    cluster.keys()
    done = run("keys", "export", "-o", "keys.age")
    assert done.code == 3
    assert "give --passphrase-file FILE, or - for standard input" in done.err


def test_a_passphrase_is_no_option(run, cluster):
    assert run("keys", "export", "-o", "keys.age", "--passphrase", PASSPHRASE).code == 2


def test_a_folder_that_is_not_there_leaves_nothing_behind(cluster, keys, tmp_path):
    cluster.keys()
    done = keys("export", "-o", "absent/keys.age")
    assert done.code == 3
    assert "NotWritable" in done.err
    assert "exported" not in cluster.secret(IDENTITY)


# -- rotate


def published(cluster, **identity):
    status = {"identity": {"keyId": FIRST.kid, **identity}, "keyChains": []}
    data = {"status.json": json.dumps(status)}
    cluster.put("licenseusage-key-statements", "ConfigMap", **data)


def test_a_rotation_is_asked_for_and_no_key_is_made(run, cluster):
    cluster.keys()
    before = cluster.secret(IDENTITY)
    published(cluster)
    done = run("keys", "rotate", "--reason", "Suspected")
    assert done.code == 0, done.err
    assert f"asked for a key to succeed {FIRST.kid}" in done.out
    assert cluster.secret(IDENTITY) == {**before, "rotate": b"Suspected"}


def test_while_a_rotation_is_under_way_nothing_is_asked_for(run, cluster):
    cluster.keys()
    before = cluster.secret(IDENTITY)
    published(cluster, nextKeyId=SECOND.kid, rotation="Scheduled")
    done = run("keys", "rotate", "--reason", "Scheduled")
    assert done.code == 0
    assert f"under way: key {SECOND.kid} takes over" in done.out
    assert cluster.secret(IDENTITY) == before


@pytest.mark.parametrize("reason", ["", "scheduled", "Because"])
def test_the_reason_is_one_that_the_vendor_understands(run, cluster, reason):
    assert run("keys", "rotate", "--reason", reason).code == 2


def test_who_may_not_write_the_secret_may_not_rotate(run, cluster):
    cluster.keys()
    published(cluster)
    (cluster.store / "readonly").touch()
    done = run("keys", "rotate", "--reason", "Scheduled")
    assert done.code == 3
    assert "ForbiddenByCluster" in done.err
