"""A rotation step by step, with the real ledger and a Secret, and a death after each effect.

What the vendor does is told the ledger as the sender would. `test_rotated.py` has a real vendor.
"""

import asyncio
import base64
import shutil
from datetime import date

import pytest

from licenseusage.controller.effects.identity import Keys, Names
from licenseusage.controller.effects.kube import ConflictError
from licenseusage.controller.effects.secrets import SecretReader
from licenseusage.controller.rules.keystatus import placed
from licenseusage.controller.rules.rotation import unreceipted
from licenseusage.controller.steps.enrolling import KeyGoneError, enrol_now
from licenseusage.controller.steps.rotating import rotate
from licenseusage.errors import UsageError
from licenseusage.ledger.documents.records import (
    FORKED,
    HISTORY_LOST,
    Delivery,
    DeliveryResult,
    ReportKind,
    SignedDocument,
)
from licenseusage.ledger.ledger import Ledger
from licenseusage.ledger.records import MeterKey, Subscribed
from licenseusage.ledger.upkeep.snapshot import backup
from licenseusage.metering.cycles import Terms
from licenseusage.reports.enrolment import build_enrolment
from licenseusage.reports.keychain import verify_keys
from licenseusage.reports.keyring import key_chains
from licenseusage.reports.keys import SigningKey
from licenseusage.reports.licence import LicenseTerms, build_license, read_license
from licenseusage.reports.receipt import Sent
from licenseusage.reports.terms import CycleTerms
from tests.delivery.people import ANCHOR, DAY, LICENCE_KEY, NOW_MS, NOW_S, VENDOR_KEYS, key
from tests.delivery.people import INSTALLATION_KEY as FIRST

NAMESPACE, IDENTITY = "system", "licenseusage-identity"
SUBSCRIPTIONS = ("sub-1", "sub-2")
ANCHOR_DAY = date(2026, 1, 1)


def licence(subscription):
    terms = LicenseTerms(
        vendor="https://vendor.example",
        subscription=subscription,
        license_id=f"lic-{subscription}",
        issued_at_s=ANCHOR - DAY,
        not_before_s=ANCHOR - DAY,
        expires_s=ANCHOR + 400 * DAY,
        product="acme",
        cycle=CycleTerms(ANCHOR_DAY, length_days=30),
        interval_hours=24,
        reporting_required=True,
    )
    return read_license(build_license(terms, LICENCE_KEY), VENDOR_KEYS)


class Died(BaseException):
    """The process has ended."""


class Cluster:
    """One Secret with a version; a process may die before and after it is written."""

    def __init__(self, boundary):
        self.boundary, self.version_now = boundary, 1
        self.data = {"private.jwk": FIRST.to_jwk().encode()}

    async def get(self, _resource, namespace, name):
        assert (namespace, name) == (NAMESPACE, IDENTITY)
        encoded = {member: base64.b64encode(value).decode() for member, value in self.data.items()}
        version = str(self.version_now)
        return {
            "metadata": {
                "name": name,
                "namespace": namespace,
                "uid": "u",
                "resourceVersion": version,
            },
            "data": encoded,
        }

    async def replace(self, resource, body):
        if body["metadata"]["resourceVersion"] != str(self.version_now):
            raise ConflictError(409, "update secrets", "it was changed")
        self.boundary("before the Secret")
        self.data = {name: base64.b64decode(value) for name, value in body["data"].items()}
        self.version_now += 1
        self.boundary("after the Secret")
        return await self.get(resource, NAMESPACE, IDENTITY)


class MortalLedger(Ledger):
    """A ledger whose process may die around each key statement."""

    boundary = staticmethod(lambda _what: None)

    def add_key_statement(self, *args, **kwargs):
        self.boundary("before the succession")
        made = super().add_key_statement(*args, **kwargs)
        self.boundary("after the succession")
        return made


class Estate:
    """What outlives a process: the ledger's file and the Secret."""

    def __init__(self, folder):
        self.url = f"sqlite:///{folder}/ledger.sqlite"
        self.left, self.passed = None, []
        self.made = 0
        self.cluster = Cluster(self.boundary)
        self.start()
        for subscription in SUBSCRIPTIONS:
            self.enrol(subscription)

    def boundary(self, what):
        self.passed.append(what)
        if self.left is not None:
            self.left -= 1
            if self.left == 0:
                self.left = None
                raise Died

    def start(self):
        self.ledger = MortalLedger.open(self.url, now_ms=NOW_MS, ledger_id="x")
        self.ledger.boundary = self.boundary
        reader = SecretReader(self.cluster)
        self.keys = Keys(
            self.cluster,
            reader,
            Names(NAMESPACE, IDENTITY, "licenseusage-pseudonym"),
            new_signing_key=self.new_key,
            random_bytes=bytes,
        )

    def new_key(self):
        self.made += 1
        return key(f"new {self.made}")

    def restart(self):
        self.ledger.close()
        self.start()

    def enrol(self, subscription):
        license_ = licence(subscription)
        token = build_enrolment(license_, FIRST, issued_at_s=ANCHOR)
        sent = Sent.from_token(token)
        document = SignedDocument(sent.subject.jti, sent.subject.digest, token)
        self.ledger.add_key_statement(
            sent.chain_id, ReportKind.ENROLMENT, 1, document, NOW_MS - 1000
        )
        meter = self.ledger.ensure_meter(MeterKey("shop", subscription, "acme"), NOW_MS)
        terms = Terms(ANCHOR_DAY, length_days=30)
        licensed = Subscribed(license_.contract, license_.token)
        self.ledger.keep_terms(meter.id, terms, NOW_MS, licensed=licensed)

    async def do(self, work):
        return work(self.ledger)

    async def rotate(self):
        return await rotate(self, self.keys, NOW_MS, 0.0)

    async def ring(self):
        return await self.keys.ring(0.0)

    def ask(self, reason="Scheduled"):
        self.cluster.data["rotate"] = reason.encode()
        self.cluster.version_now += 1

    def receipt(self, *, only=None):
        """The vendor accepts every statement that waits."""
        for chain_id, statements in self.chains().items():
            while only in (None, statements[0].sent.subscription):
                claimed = self.ledger.claim(NOW_MS + 10_000, chain_id=chain_id)
                if claimed is None:
                    break
                result = DeliveryResult(Delivery.ACCEPTED, receipt="r", received_ms=NOW_MS)
                self.ledger.record_result(claimed, result, NOW_MS + 10_000)

    def items(self):
        return self.ledger.all_key_statements()

    def chains(self):
        return key_chains(item.token for item in self.items())

    def signers(self, ring):
        """Who signs in each subscription now."""
        items = self.items()
        return {
            statements[0].sent.subscription: ring.signer(
                placed([item for item in items if item.chain_id == chain_id])
            )
            for chain_id, statements in self.chains().items()
        }


@pytest.fixture
def estate(tmp_path):
    made = Estate(tmp_path)
    made.receipt()
    yield made
    made.ledger.close()


async def test_nothing_happens_unless_it_is_wanted(estate):
    before = dict(estate.cluster.data)
    ring = await estate.rotate()
    assert (ring.current, ring.following) == (FIRST, None)
    assert estate.cluster.data == before


async def test_each_key_chain_gets_one_succession_that_any_receiver_accepts(estate):
    estate.ask("Suspected")
    ring = await estate.rotate()
    for statements in estate.chains().values():
        keys = verify_keys([one.token for one in statements], VENDOR_KEYS, now_s=NOW_S)
        assert list(keys) == [FIRST.kid, ring.following.kid]
        assert statements[-1].reason == "Suspected"
    assert len(estate.chains()) == 2
    await estate.rotate()
    assert len(estate.items()) == 4, "one each, however often it is looked at"


async def test_until_it_is_receipted_the_former_key_signs_and_both_are_kept(estate):
    estate.ask()
    ring = await estate.rotate()
    assert set(estate.signers(ring).values()) == {FIRST}
    assert {"private.jwk", "next.jwk"} <= estate.cluster.data.keys()


async def test_each_subscription_goes_over_by_itself(estate):
    estate.ask()
    await estate.rotate()
    estate.receipt(only="sub-2")
    ring = await estate.rotate()
    assert estate.signers(ring) == {"sub-1": FIRST, "sub-2": ring.following}
    assert ring.current == FIRST


async def test_once_all_are_receipted_the_former_key_goes(estate):
    estate.ask()
    following = (await estate.rotate()).following
    estate.receipt()
    ring = await estate.rotate()
    assert (ring.current, ring.following, ring.wanted) == (following, None, None)
    assert set(estate.signers(ring).values()) == {following}
    assert estate.cluster.data.keys() == {"private.jwk", "statements"}
    kept = estate.cluster.data["statements"].decode().split()
    assert sorted(kept) == sorted(item.token for item in estate.items())


async def test_the_installation_stays_the_one_of_its_first_key(estate):
    estate.ask()
    await estate.rotate()
    estate.receipt()
    ring = await estate.rotate()
    assert ring.installation("https://vendor.example", "sub-1") == FIRST.installation
    assert ring.installation("https://vendor.example", "sub-9") == ring.current.installation


async def test_a_subscription_that_no_object_uses_is_not_waited_for(estate):
    for meter in estate.ledger.meters():
        if meter.key.name == "sub-1":
            estate.ledger.meter_deleted(meter.id, NOW_MS)
    estate.ask()
    await estate.rotate()
    estate.receipt(only="sub-2")
    ring = await estate.rotate()
    assert ring.following is None
    assert estate.signers(ring)["sub-1"] == ring.current, "its succession is signed all the same"


async def test_a_chain_that_is_stopped_gets_nothing_and_keeps_the_former_key(estate):
    (stopped, *_) = estate.chains()
    estate.ledger.stop_chain(stopped, FORKED, NOW_MS)
    estate.ask()
    await estate.rotate()
    estate.receipt()
    ring = await estate.rotate()
    assert len(estate.chains()[stopped]) == 1
    assert ring.current == FIRST
    assert unreceipted(ring, estate.items(), estate.ledger.meters())


async def test_a_subscription_whose_reports_were_lost_gets_its_succession_too(estate):
    """It is sent although its reports do not go on: the vendor tells them to the newest key."""
    (lost, *_) = estate.chains()
    estate.ledger.stop_chain(lost, HISTORY_LOST, NOW_MS)
    estate.ask()
    following = (await estate.rotate()).following
    estate.receipt()
    ring = await estate.rotate()
    assert len(estate.chains()[lost]) == 2
    assert (ring.current, ring.following) == (following, None)


async def test_a_restored_ledger_signs_no_second_succession_of_any_subscription(estate, tmp_path):
    """Its key statements come back from beside the keys, whichever object is looked at first."""
    backup(tmp_path / "ledger.sqlite", tmp_path / "backup.sqlite")
    estate.ask()
    await estate.rotate()
    signed = {item.token for item in estate.items()}
    estate.ledger.close()
    for file in tmp_path.glob("ledger.sqlite-*"):
        file.unlink()
    shutil.copy(tmp_path / "backup.sqlite", tmp_path / "ledger.sqlite")
    estate.start()
    assert len(estate.items()) == 2
    await rotate(estate, estate.keys, NOW_MS + 60_000, 0.0)
    assert {item.token for item in estate.items()} == signed


async def test_no_subscription_enrols_with_a_key_whose_rotation_has_just_ended(estate):
    estate.ask()
    read_before = await estate.rotate()
    estate.receipt()
    await estate.rotate()
    known = len(estate.items())
    another = licence("another")
    with pytest.raises(KeyGoneError):
        await enrol_now(estate, estate.keys, another, read_before, NOW_MS, 0.0)
    assert len(estate.items()) == known
    ring = await estate.ring()
    (made,) = await enrol_now(estate, estate.keys, another, ring, NOW_MS, 0.0)
    assert Sent.from_token(made.token).subscription == "another"


async def test_an_enrolment_waits_until_a_rotation_has_signed_its_successions(estate):
    ring = await estate.ring()
    async with estate.keys.rotation:
        enrolling = asyncio.ensure_future(
            enrol_now(estate, estate.keys, licence("another"), ring, NOW_MS, 0.0)
        )
        await asyncio.sleep(0)
        assert not enrolling.done()
    assert await enrolling


async def test_who_changes_the_secret_at_the_same_moment_loses_nothing(estate):
    estate.ask()
    get = estate.cluster.get

    async def changed_meanwhile(*args):
        body = await get(*args)
        estate.cluster.data["note"] = b"x"
        estate.cluster.version_now += 1
        return body

    await estate.ring()  # read before
    estate.cluster.get = changed_meanwhile
    with pytest.raises(UsageError) as caught:
        await estate.keys.add_following()
    assert "it is tried again" in caught.value.message
    estate.cluster.get = get
    await estate.rotate()
    assert {"note", "next.jwk"} <= estate.cluster.data.keys()


async def test_a_withdrawn_wish_changes_no_key(estate):
    estate.ask()
    await estate.ring()
    del estate.cluster.data["rotate"]
    estate.cluster.version_now += 1
    ring = await estate.rotate()
    assert (ring.current, ring.following) == (FIRST, None)


async def test_a_wish_that_is_no_reason_is_refused(estate):
    estate.ask("because I can")
    with pytest.raises(UsageError) as caught:
        await estate.rotate()
    assert caught.value.reason == "IdentityInvalid"
    assert "write Scheduled or Suspected" in caught.value.message
    assert len(estate.items()) == 2


async def _whole_rotation(estate):
    await estate.rotate()
    estate.receipt(only="sub-1")
    await estate.rotate()
    estate.receipt()
    await estate.rotate()


def _check(estate):
    """No key is lost that a succession names, and nobody signs who may not."""
    held = {
        SigningKey.from_jwk(estate.cluster.data[member].decode()).kid
        for member in ("private.jwk", "next.jwk")
        if member in estate.cluster.data
    }
    for chain_id, statements in estate.chains().items():
        items = [item for item in estate.items() if item.chain_id == chain_id]
        newest = statements[-1].brings.thumbprint
        assert newest in held, "the key that a committed succession names is in the Secret"
        if any(item.state is not Delivery.ACCEPTED for item in items):
            assert FIRST.kid in held, "not receipted, and the former key is gone"


async def test_a_death_at_any_effect_loses_no_key_and_the_rotation_ends(tmp_path):
    deaths = []
    for count in range(1, 100):
        folder = tmp_path / str(count)
        folder.mkdir()
        estate = Estate(folder)
        estate.receipt()
        estate.ask()
        estate.passed.clear()
        estate.left = count
        try:
            await _whole_rotation(estate)
        except Died:
            deaths.append(estate.passed[-1])
            _check(estate)
            estate.restart()
            _check(estate)
            await _whole_rotation(estate)
        survived = estate.left is not None
        ring = await estate.ring()
        assert ring.following is None
        assert estate.made == 1 or deaths[-1] == "before the Secret"
        assert set(estate.signers(ring).values()) == {ring.current}
        for statements in estate.chains().values():
            assert [one.brings for one in statements] == [FIRST.public, ring.current.public]
        estate.ledger.close()
        if survived:
            break
    # The key that follows, a succession per chain, the statements, the end: before and after each.
    assert len(deaths) == 2 * (1 + 2 + 1 + 1)
