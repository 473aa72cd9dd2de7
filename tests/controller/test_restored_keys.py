"""Keys on a real API server: rotated, exported, all lost, imported; the chain goes on."""

import base64
import json
import os

import pytest

from licenseusage.reports.content import Kind
from licenseusage.reports.keyring import signed_by
from licenseusage.reports.keys import SigningKey
from licenseusage.reports.report import read_report
from tests.controller.ages import DAY, MIDNIGHT, day, licensed
from tests.controller.stage import until
from trials import forked

pytestmark = pytest.mark.controlplane

FIRST = MIDNIGHT - 6 * DAY + 12 * 3600
PASSPHRASE = "correct horse battery staple"
IDENTITY, PSEUDONYM = "licenseusage-identity", "licenseusage-pseudonym"


class Admin:
    """An administrator with kubectl, the command line and a shell beside the ledger."""

    def __init__(self, ages, folder):
        self.ages, self.folder = ages, folder
        self.ledger = folder / "operator" / "ledger.sqlite"
        binaries = ages.crds.binaries.folder
        self.env = {**os.environ, "PATH": f"{binaries}:{os.environ['PATH']}"}

    def kubectl(self, *args, check=True):
        return self.ages.crds.kubectl(*args, "-n", self.ages.namespace, check=check)

    def run(self, *args, stdin=""):
        return forked.run(*args, stdin=stdin, env=self.env, cwd=self.folder, code=0).stdout

    def keys(self, *args, phrase=False):
        more = ("--passphrase-file", "-") if phrase else ()
        where = ("--operator-namespace", self.ages.namespace)
        return self.run("keys", *args, *where, *more, stdin=PASSPHRASE)

    def secret(self, name):
        done = self.kubectl("get", "secret", name, "-o", "json", check=False)
        data = json.loads(done.stdout)["data"] if done.returncode == 0 else {}
        return {member: base64.b64decode(value) for member, value in data.items()}

    def published(self):
        name = "licenseusage-key-statements"
        return self.kubectl("get", "configmap", name, "-o", "yaml", check=False).stdout

    def ask(self):
        stamp = f"licenseusage.dev/requested-at={os.urandom(4).hex()}"
        self.kubectl("annotate", "--overwrite", "lu/shop", stamp)


@pytest.fixture
def admin(ages, tmp_path):
    """Two people were counted in the first of the cycle's four days, and reported."""
    ages.product.users = {"ann": FIRST - 60, "ben": FIRST - 120}
    ages.crds.apply(licensed(ages, days=4, anchor=day(FIRST), at=FIRST))
    operator = ages.travel(FIRST)
    until(lambda: operator.status("shop").get("activeUsers") == 2, 30)
    operator.wait_condition("shop", "Reported", "True", "ReportAccepted")
    return Admin(ages, tmp_path)


def test_after_a_rotation_and_the_loss_of_everything_the_same_chain_goes_on(admin, tmp_path):
    ages = admin.ages
    first = SigningKey.from_jwk(admin.secret(IDENTITY)["private.jwk"].decode())
    until(admin.published)
    assert f"to succeed {first.kid}" in admin.keys("rotate", "--reason", "Scheduled")
    admin.ask()
    until(lambda: {"rotate", "next.jwk"}.isdisjoint(admin.secret(IDENTITY)), 90)
    second = SigningKey.from_jwk(admin.secret(IDENTITY)["private.jwk"].decode())
    assert second.kid != first.kid

    assert ages.operator.condition("shop", "KeysExported")["reason"] == "KeysNotExported"
    admin.keys("export", "-o", "keys.age", phrase=True)
    admin.ask()
    until(lambda: ages.operator.condition("shop", "KeysExported") is None, 30)
    admin.run("ledger", "backup", admin.ledger, "backup.sqlite")
    before = {name: admin.secret(name) for name in (IDENTITY, PSEUDONYM)}

    ages.stop()
    admin.kubectl("delete", "secret", IDENTITY, PSEUDONYM)
    for file in admin.ledger.parent.glob("ledger.sqlite*"):
        file.unlink()

    admin.run("ledger", "restore", "backup.sqlite", admin.ledger)
    admin.keys("import", "keys.age", phrase=True)
    assert {name: admin.secret(name) for name in (IDENTITY, PSEUDONYM)} == before

    ages.product.users |= {"ben": FIRST + DAY - 60, "cat": FIRST + DAY - 30}
    ages.travel(FIRST + DAY)
    until(lambda: ages.operator.status("shop").get("activeUsers") == 3, 40)
    ages.travel(FIRST + 4 * DAY)
    (final,) = until(lambda: ages.accepted(1), 60)
    assert [verdict for _, verdict in ages.vendor.finals()] == ["Accepted"]

    reports = [read_report(one["spec"]["token"]) for one in ages.operator.reports()]
    assert len({report.envelope.chain_id for report in reports}) == 1
    assert {report.envelope.installation for report in reports} == {first.installation}
    (ended,) = [report for report in reports if report.content.kind is Kind.FINAL]
    assert ended.content.active_users == 3
    assert signed_by(final["spec"]["token"]) == second.kid

    statements, given = tmp_path / "statements.yaml", tmp_path / "reports.yaml"
    (tmp_path / "jwks.json").write_text(ages.vendor.jwks)
    until(lambda: "Succession" in admin.published(), 60)
    statements.write_text(admin.published())
    given.write_text(admin.kubectl("get", "usagereports", "-o", "yaml").stdout)
    verify = ("report", "verify", "--complete", given, "--vendor-keys", "jwks.json")
    assert "NOT OK" not in admin.run(*verify, "--enrolment", statements)
