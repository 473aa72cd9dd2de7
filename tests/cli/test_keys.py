"""``licenseusage keys new``: Secrets for a key that is lost for good."""

import base64
import json

import pytest
import yaml

from licenseusage.metering.pseudonym import key_id
from licenseusage.reports.keys import SigningKey
from licenseusage.reports.receipt import Sent
from tests.delivery.people import reports

TOKENS = reports(2)


def secret(done):
    assert done.code == 0, done.err
    manifest = yaml.safe_load(done.out)
    data = {name: base64.b64decode(value) for name, value in manifest["data"].items()}
    return manifest["metadata"], data


def test_a_new_identity_says_which_installation_it_replaces(run):
    items = [{"kind": "UsageReport", "metadata": {}, "spec": {"token": one}} for one in TOKENS]
    given = json.dumps({"kind": "List", "items": items})
    meta, data = secret(run("keys", "new", "identity", "--replaces", "-", stdin=given))
    assert meta == {"name": "licenseusage-identity", "namespace": "licenseusage-system"}
    former = Sent.from_token(TOKENS[0]).installation
    assert data["replaces"].decode() == former
    assert SigningKey.from_jwk(data["private.jwk"].decode()).installation != former


def test_a_copy_that_gives_nothing_up_gets_an_identity_of_its_own(run):
    _, data = secret(run("keys", "new", "identity"))
    assert set(data) == {"private.jwk"}


def test_reports_of_several_installations_do_not_say_which_one_is_given_up(run):
    from tests.reports.conformance import TOKENS as VECTORS

    given = "\n".join((TOKENS[0], VECTORS["report-3-amendment"]))
    done = run("keys", "new", "identity", "--replaces", "-", stdin=given)
    assert done.code == 3
    assert "Ambiguous" in done.err
    assert done.out == ""


def test_a_new_pseudonym_key_names_the_lost_one(run):
    lost = "0123456789abcdef" * 2
    done = run("keys", "new", "pseudonym", "--replaces", lost, "--namespace", "ours")
    meta, data = secret(done)
    assert meta == {"name": "licenseusage-pseudonym", "namespace": "ours"}
    assert (data["replaces"].decode(), len(data["key"])) == (lost, 32)
    assert key_id(data["key"]) in done.err


def test_a_new_pseudonym_key_names_none_where_nobody_was_counted(run):
    _, data = secret(run("keys", "new", "pseudonym"))
    assert set(data) == {"key"}


@pytest.mark.parametrize("lost", ["", "0123", "X" * 32])
def test_a_lost_pseudonym_key_is_named_by_its_id(run, lost):
    assert run("keys", "new", "pseudonym", "--replaces", lost).code == 2
