"""A renewed licence goes to the vendor before the first report under it, and delays nothing."""

from dataclasses import dataclass, field, replace

import httpx
import pytest

from licenseusage.delivery.outcome import Answer, NoAnswer
from licenseusage.delivery.vendor import VendorClient
from licenseusage.receiver.access import PagesAccess
from licenseusage.receiver.app import create_app
from licenseusage.receiver.store import ReceiverDatabase
from licenseusage.reports.licence import build_license
from licenseusage.reports.typs import ENROLMENT, LICENSE, REPORT
from tests.delivery.memory import LEASE_MS
from tests.delivery.people import (
    ANCHOR,
    DAY,
    LICENCE_KEY,
    RECEIPT_KEY,
    VENDOR_KEYS,
    enrolment,
    licence,
    reports,
)
from tests.delivery.test_sender import CHAIN, KEYS, ROUTE, Desk, Setting

RENEWED = build_license(
    replace(licence(), license_id="of/2027", issued_at_s=ANCHOR + DAY), LICENCE_KEY
)
RENEWED_ROUTE = replace(ROUTE, licenses=(RENEWED,))
EMPTY = Answer(201, "", b"")


@dataclass
class Register(Desk):
    """A vendor with a register; `offer` answers a licence, `findings` are those of its receipts."""

    offered: list[str] = field(default_factory=list)
    order: list[str] = field(default_factory=list)
    offer: Answer | NoAnswer = EMPTY
    findings: tuple[str, ...] = ()

    async def put(self, endpoint: str, typ: str, jti: str, token: str) -> Answer | NoAnswer:
        self.order.append(typ)
        if typ == LICENSE:
            assert jti == "of/2027"
            self.offered.append(token)
            return self.offer
        return await super().put(endpoint, typ, jti, token)

    def receipt(self, token: str, **more: object) -> str:
        return super().receipt(token, findings=self.findings, **more)


@pytest.fixture
def world() -> Setting:
    setting = Setting(desk=Register())
    setting.outbox.add(enrolment(), *reports(3))
    return setting


async def drain(world: Setting, route=RENEWED_ROUTE) -> None:
    while await world.sender.step(route):
        world.desk.now_s += 1


async def test_a_licence_is_offered_once_after_the_enrolment_and_before_the_first_report(world):
    await drain(world)
    assert world.desk.order == [ENROLMENT, LICENSE, REPORT, REPORT, REPORT]


async def test_a_licence_is_offered_although_no_report_is_due(world):
    await drain(world)
    next_one = build_license(
        replace(licence(), license_id="of/2027", issued_at_s=ANCHOR + 2 * DAY), LICENCE_KEY
    )
    await drain(world, replace(ROUTE, licenses=(next_one,)))
    assert world.desk.offered == [RENEWED, next_one]


@pytest.mark.parametrize(
    "offer",
    [
        NoAnswer("Timeout", "30 s"),
        Answer(503, "text/html", b""),
        Answer(429, "", b""),
        Answer(200, "text/html", b"<html>Please log in</html>"),
        Answer(302, "", b""),
        Answer(403, "application/problem+json", b'{"error":"LicenseTermsChanged"}'),
    ],
)
async def test_reports_go_on_whatever_comes_of_it_and_it_is_offered_again_with_the_next(
    world, offer
):
    world.desk.offer = offer
    await drain(world)
    assert set(world.outbox.states(CHAIN)) == {"Accepted"}
    assert len(world.desk.offered) == 1  # three reports one after the other do not repeat it
    world.desk.offer = EMPTY
    world.later(15_000)  # sooner than what has failed once is sent again
    await drain(world)
    await drain(world)
    assert len(world.desk.offered) == 2


@pytest.mark.parametrize("status", [404, 405, 410])
async def test_a_vendor_without_a_register_is_asked_once(world, status):
    world.desk.offer = Answer(status, "text/html", b"nothing here")
    await drain(world)
    assert len(world.desk.offered) == 1


async def test_a_licence_that_a_receipt_calls_unknown_is_offered_again_at_once(world):
    named = reports(1, license_id="of/2027")
    setting = Setting(desk=Register(findings=("LicenseUnknown",)))
    setting.outbox.add(enrolment(), *named)
    await drain(setting)
    assert setting.desk.order == [ENROLMENT, LICENSE, REPORT, LICENSE]


async def test_the_lease_of_a_report_is_for_the_report_alone(world):
    async def slow(endpoint, typ, jti, token):
        world.clock.ms += 29_000
        return NoAnswer("Timeout", "30 s")

    world.outbox.rows[0].state = "Accepted"  # enrolled long ago
    world.desk.put = slow
    (attempt,) = await world.sender.step(RENEWED_ROUTE)
    assert attempt.settlement.state == "Pending"
    claimed_ms = world.outbox.rows[1].lease_ms - LEASE_MS
    assert world.clock.ms - claimed_ms == 29_000


async def test_a_licence_that_was_replaced_before_it_arrived_is_offered_all_the_same(world):
    world.desk.offer = NoAnswer("Timeout", "30 s")
    await world.sender.step(RENEWED_ROUTE)
    world.desk.offer = EMPTY
    world.later(15_000)
    newest = build_license(
        replace(licence(), license_id="of/2027", issued_at_s=ANCHOR + 2 * DAY), LICENCE_KEY
    )
    await drain(world, replace(ROUTE, licenses=(newest,)))
    assert set(world.desk.offered[-2:]) == {RENEWED, newest}


async def test_the_real_register_takes_it_and_judges_by_it(tmp_path):
    class Clock:
        def now_ms(self) -> int:
            return 1000 * (ANCHOR + 40 * DAY)

    store = ReceiverDatabase.open(f"sqlite:///{tmp_path / 'receiver.sqlite'}")
    app = create_app(
        store=store,
        vendor_keys=VENDOR_KEYS,
        receipt_key=RECEIPT_KEY,
        clock=Clock(),
        access=PagesAccess(),
    )
    setting = Setting()
    client = VendorClient(transport=httpx.ASGITransport(app))
    setting.sender._client = client
    setting.outbox.add(enrolment(), *reports(2, license_id="of/2027"))
    while attempts := await setting.sender.step(RENEWED_ROUTE):
        assert all("LicenseUnknown" not in one.settlement.findings for one in attempts)
    await client.aclose()
    assert setting.outbox.states(CHAIN) == ["Accepted", "Accepted"]
    assert setting.outbox.states(KEYS) == ["Accepted"]
    with store.read() as reading:
        held = reading.licenses_of("https://vendor.example", "sub-1")
    assert [one.license_id for one in held] == ["lic-1", "of/2027"]
    store.close()
