"""A rotation from the wish to the reports that follow: the operator's process, a receiver."""

import base64
import itertools

import pytest

from licenseusage.controller.rules.resources import SECRETS
from licenseusage.reports.keyring import key_chains, signed_by
from licenseusage.reports.keys import SigningKey
from licenseusage.reports.receipt import ReceiptVerdict
from tests.controller import test_idle
from tests.controller.test_idle import HOUR, Key, Scheduled, installed
from trials.soak import vendor as vendors
from trials.soak.history import OBJECTS, quiet
from trials.soak.process import NAMESPACE
from trials.soak.timeline import Timeline

IDENTITY = (SECRETS.plural, NAMESPACE, "licenseusage-identity")
DAY = 24 * HOUR
NAMES = ("ann", "ben")


class Site:
    """An operator with two licensed objects, and what an administrator sees of its keys."""

    def __init__(self, process: Scheduled):
        self.process, self.cluster = process, process.estate.cluster
        made = itertools.count(1)
        process.surroundings.keys._new_signing_key = lambda: vendors.key(f"key {next(made)}")

    async def until(self, what, seconds=3 * DAY):
        for _ in range(int(seconds // 1800)):
            await self.process.wait(1800)
            self.process.tell()
            if what():
                return
        raise AssertionError(f"not within {seconds} s: {what}")

    def secret(self):
        data = self.cluster.objects[IDENTITY]["data"]
        return {member: base64.b64decode(value) for member, value in data.items()}

    def kid(self):
        return SigningKey.from_jwk(self.secret()["private.jwk"].decode()).kid

    def put(self, data):
        self.cluster.put(
            SECRETS, NAMESPACE, IDENTITY[2], {**self.cluster.objects[IDENTITY], "data": data}
        )

    async def rotate(self):
        wish = base64.b64encode(b"Suspected").decode()
        self.put({**self.cluster.objects[IDENTITY]["data"], "rotate": wish})
        await self.until(lambda: self.secret().keys() == {"private.jwk", "statements"})

    def statements(self):
        return self.process.ledger.all_key_statements()

    def reports(self):
        ledger = self.process.ledger
        return [item for meter in ledger.meters() for item in ledger.reports(meter.id)]

    async def report(self):
        """Let every object make and deliver one report more."""
        count = len(self.reports()) + len(NAMES)

        def arrived():
            reports = self.reports()
            return len(reports) >= count and all(item.state == "Accepted" for item in reports)

        await self.until(arrived)


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run a test's coroutine with an operator whose objects have reported once."""
    quiet()
    monkeypatch.setattr(test_idle, "NAMES", NAMES)
    loop = Timeline()
    loop.set_exception_handler(lambda *_: None)

    async def whole(work):
        process = installed(loop, tmp_path)
        site = Site(process)
        await process.start()
        for name in NAMES:
            process.look(Key(OBJECTS, name))
        await site.report()
        try:
            await work(site)
            assert process.failure is None
        finally:
            await process.stop()
            process.estate.vendor.close()

    yield lambda work: loop.run_until_complete(whole(work))
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()


def test_the_vendor_accepts_what_either_key_has_signed_in_chains_that_go_on(run):
    async def work(site):
        former, before = site.kid(), {item.jti: item.token for item in site.reports()}
        await site.rotate()
        await site.report()
        new = site.kid()
        signers = {item.jti: signed_by(item.token) for item in site.reports()}
        assert {signers[jti] for jti in before} == {former}
        assert {kid for jti, kid in signers.items() if jti not in before} == {new}
        assert before.items() <= {item.jti: item.token for item in site.reports()}.items()

        chains = {item.chain_id for item in (*site.reports(), *site.statements())}
        assert len(chains) == 4, "of reports and of keys, two each, as before"
        for chain_id in chains:
            documents = site.process.estate.vendor.documents(chain_id)
            assert {document.verdict for document in documents} == {ReceiptVerdict.ACCEPTED}
        for statements in key_chains(item.token for item in site.statements()).values():
            assert [one.brings.thumbprint for one in statements] == [former, new]

    run(work)


def test_a_restored_secret_whose_key_was_succeeded_signs_nothing_and_says_so(run):
    async def work(site):
        old = site.cluster.objects[IDENTITY]["data"]
        await site.rotate()
        before = {item.jti for item in site.reports()}
        site.put(old)

        def reported():
            conditions = site.cluster.objects["licenseusages", OBJECTS, "ann"]["status"][
                "conditions"
            ]
            (seen,) = [one for one in conditions if one["type"] == "Reported"]
            return seen

        await site.until(lambda: reported()["reason"] == "IdentityInvalid")
        assert "Restore the newest backup of the Secret" in reported()["message"]
        await site.process.wait(DAY)
        assert {item.jti for item in site.reports()} == before

    run(work)
