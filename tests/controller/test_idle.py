"""Idle means idle: what is reconciled although nothing happens, and what wakes whom.

The operator's own process in simulated time, with licensed objects whose products are polled once
in a day; the watch tells what changes.
"""

import random
from collections import Counter
from copy import deepcopy
from datetime import date
from importlib.resources import files

import pytest
import yaml

from licenseusage.controller.process import background
from licenseusage.controller.rules.key import Key
from licenseusage.controller.rules.resources import CONFIGMAPS, PODS, SECRETS, USAGES
from licenseusage.controller.steps.reconcile import reconcile
from licenseusage.reports.terms import CycleTerms
from trials.months import population, shop
from trials.months.scenario import Scenario
from trials.soak import vendor as vendors
from trials.soak.cluster import Cluster, pod
from trials.soak.history import OBJECTS, quiet
from trials.soak.people import DAY_MS, HOUR_MS
from trials.soak.process import NAMESPACE, VENDOR_KEYS, Estate, Process
from trials.soak.tally import Tally
from trials.soak.timeline import Timeline, World, WrongClock

START_MS = 1_772_323_200_000 + 6 * HOUR_MS
"""2026-03-01T06:00:00Z: nothing ends in the hours after it."""
FIRST_DAY = date(2026, 2, 20)
DAY_MINUTES = 1440
NAMES = ("ann", "ben", "cleo", "offline")
HOUR = 3600


class Scheduled(Process):
    """The process by its own schedule; counts what it looks at and what it asks for."""

    def __init__(self, estate):
        super().__init__(estate, 1)
        self.looks, self.asked = Counter(), Counter()
        kube = self.surroundings.kube
        get, version = kube.get, kube.version

        async def counted_get(resource, namespace, name):
            self.asked[resource.plural, name] += 1
            return await get(resource, namespace, name)

        async def counted_version(resource, namespace, name):
            self.asked[resource.plural, name] += 1
            return await version(resource, namespace, name)

        kube.get, kube.version = counted_get, counted_version

    async def start(self):
        await super().start()
        self._run(background.watch_dependencies(self.surroundings, self._nudge))

    async def _reconcile(self):
        while True:
            key = await self._queue.get()
            self.looks[key.name] += 1
            wait = await reconcile(self.surroundings, key)
            if wait is not None:
                self._queue.add(key, wait)
            self._queue.done(key)

    def tell(self):
        """The watch tells of every object as it is now."""
        for (plural, namespace, name), raw in self.estate.cluster.objects.items():
            if plural == USAGES.plural:
                key = Key(namespace, name)
                if self.surroundings.watched.streamed(key, raw):
                    self.look(key)

    def clear(self):
        self.looks.clear()
        self.asked.clear()


def licence(name, *, serial=1):
    return vendors.licence(
        name,
        f"subscription-{name}",
        serial,
        CycleTerms(anchor=FIRST_DAY, length_days=30),
        from_s=START_MS // 1000 - 600,
        to_s=START_MS // 1000 + 10**8,
        interval_hours=24,
        **({"endpoint": None} if name == "offline" else {}),
    )


def installed(loop, folder):
    """Licensed objects, each with a Secret of its own; the vendor's keys are of all."""
    world, random_ = World(loop, START_MS), random.Random(7)
    cluster, tally = Cluster(), Tally()
    clock = WrongClock(world.now_ms)
    client, line = vendors.connect()
    vendor = vendors.Vendor(world, folder, clock, random_, (), tally)
    line.vendor = vendor
    scenario = Scenario("Standard", "Never")
    people = population.draw(
        scenario, random_, people=5, ends=(START_MS - DAY_MS, START_MS + 30 * DAY_MS)
    )
    product, source = shop.shop_of(scenario, people, [])
    source["intervalMinutes"] = DAY_MINUTES
    cluster.put(
        PODS, OBJECTS, "months-0", pod("months-0", "10.1.2.3", ready=True, labels={"app": "months"})
    )
    cluster.credentials(OBJECTS, shop.CREDENTIALS, username="meter", password="pw", token="pw")
    keys = vendors.KEYS.to_jwks()
    cluster.secret(CONFIGMAPS, NAMESPACE, VENDOR_KEYS, **{"jwks.json": keys})
    for name in NAMES:
        cluster.secret(SECRETS, OBJECTS, f"{name}-license", **{"license.jwt": licence(name)})
        spec = {
            "product": name,
            "license": {"secretRef": {"name": f"{name}-license", "key": "license.jwt"}},
            "closeGraceHours": 72,
            "combine": "Union",
            "sources": [source],
        }
        body = {"apiVersion": USAGES.api_version, "kind": "LicenseUsage", "spec": spec}
        cluster.put(USAGES, OBJECTS, name, body)
    return Scheduled(
        Estate(
            world=world,
            folder=folder,
            cluster=cluster,
            vendor=vendor,
            client=client,
            clock=clock,
            shops={(name, "product"): product for name in NAMES},
            random=random_,
            tally=tally,
            signing_key=vendors.key("idle"),
            spread_seconds=0,
            asked=lambda _: None,
            kept=lambda _, __: None,
            heard=lambda *_: None,
            api_down=lambda: False,
        )
    )


@pytest.fixture
def run(tmp_path):
    """Run a test's coroutine with a process whose objects have become idle."""
    quiet()
    loop = Timeline()
    loop.set_exception_handler(lambda *_: None)

    async def whole(work):
        process = installed(loop, tmp_path)
        await process.start()
        for name in NAMES:
            process.look(Key(OBJECTS, name))
        for _ in range(12):
            await process.wait(600)
            process.tell()
        await process.wait(60)
        for name in NAMES:
            status = process.estate.cluster.objects[USAGES.plural, OBJECTS, name]["status"]
            assert {c["type"]: c["status"] for c in status["conditions"]}["Ready"] == "True", (
                status["conditions"]
            )
        process.clear()
        try:
            await work(process)
            assert process.failure is None
        finally:
            await process.stop()
            process.estate.vendor.close()

    yield lambda work: loop.run_until_complete(whole(work))
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()


def test_an_idle_licensed_object_is_reconciled_once_an_hour_at_most(run):
    """Also one whose reports wait because its licence names no endpoint."""

    async def work(process):
        await process.wait(3 * HOUR)
        assert max(process.looks.values(), default=0) <= 3
        assert not any(plural == USAGES.plural for plural, _ in process.asked), "the watch has it"
        assert process.surroundings.reader.kept_bytes == 0, "no Secret is kept"

    run(work)


def test_each_secret_and_configmap_is_asked_for_once_a_minute_however_many_use_it(run):
    async def work(process):
        await process.wait(HOUR - 60)
        shared = process.asked[CONFIGMAPS.plural, VENDOR_KEYS]
        assert 55 <= shared <= 70
        assert process.asked[SECRETS.plural, "licenseusage-identity"] <= 70
        for name in NAMES:
            assert process.asked[SECRETS.plural, f"{name}-license"] <= 70

    run(work)


def text_of_a_preset(**changes):
    """A preset that a vendor ships: the convention, under another name."""
    text = files("licenseusage.sources.definition") / "presets" / "Standard.yaml"
    preset = yaml.safe_load(text.read_text(encoding="utf-8"))
    preset["source"] |= changes
    return yaml.safe_dump(preset)


def test_a_changed_preset_wakes_who_uses_it_within_a_minute_and_nobody_else(run):
    """The preset came with the product, in a ConfigMap of its namespace."""

    async def work(process):
        cluster = process.estate.cluster
        labelled = {"metadata": {"labels": {"licenseusage.dev/preset": "true"}}}

        def ship(labels=labelled, **changes):
            data = {"data": {"Ours.yaml": text_of_a_preset(**changes)}}
            cluster.put(CONFIGMAPS, OBJECTS, "presets", data | labels)

        def conditions():
            status = cluster.objects[USAGES.plural, OBJECTS, "ann"]["status"]
            return {c["type"]: (c["status"], c["reason"]) for c in status["conditions"]}

        ship()
        usage = deepcopy(cluster.objects[USAGES.plural, OBJECTS, "ann"])
        source = usage["spec"]["sources"][0]
        source |= {"preset": "Ours", "presetConfigMapRef": {"name": "presets"}}
        usage["metadata"]["generation"] = 2
        cluster.put(USAGES, OBJECTS, "ann", usage)
        process.tell()
        await process.wait(300)
        assert conditions()["Ready"] == ("True", "Succeeded")
        process.clear()

        ship(http={"path": "/elsewhere", "method": "POST"})
        await process.wait(62)
        assert set(process.looks) == {"ann"}
        assert conditions()["Collected"] == ("False", "PresetRefused")

        ship({"metadata": {"labels": {}}})
        await process.wait(62)
        assert conditions()["Collected"] == ("False", "ConfigMapNotPreset")

        ship()
        await process.wait(62)
        assert conditions()["Collected"][0] == "True"
        assert set(process.looks) == {"ann"}

    run(work)


def test_a_changed_secret_wakes_who_uses_it_within_a_minute_and_nobody_else(run):
    async def work(process):
        cluster = process.estate.cluster
        renewed = licence("ben", serial=2)
        cluster.secret(SECRETS, OBJECTS, "ben-license", **{"license.jwt": renewed})
        cluster.secret(SECRETS, OBJECTS, "of-nobody", value="x")
        await process.wait(62)
        assert set(process.looks) == {"ben"}
        status = cluster.objects[USAGES.plural, OBJECTS, "ben"]["status"]
        assert status["maximumActiveUsers"] == 22

    run(work)


def test_changed_keys_of_the_vendor_wake_everybody_once(run):
    async def work(process):
        cluster = process.estate.cluster
        keys = vendors.KEYS.to_jwks()
        cluster.secret(CONFIGMAPS, NAMESPACE, VENDOR_KEYS, **{"jwks.json": keys + "\n"})
        await process.wait(62)
        assert process.looks == Counter(dict.fromkeys(NAMES, 1))

    run(work)


def test_the_operators_own_status_wakes_nobody(run):
    async def work(process):
        process.look(Key(OBJECTS, "ann"))
        secret = {"license.jwt": licence("ann", serial=3)}
        process.estate.cluster.secret(SECRETS, OBJECTS, "ann-license", **secret)
        await process.wait(62)
        status = process.estate.cluster.objects[USAGES.plural, OBJECTS, "ann"]["status"]
        assert status["maximumActiveUsers"] == 23, "it was written"
        process.clear()
        process.tell()
        await process.wait(62)
        assert not process.looks

    run(work)


def test_an_expired_licence_is_told_when_it_expires(run):
    async def work(process):
        now_s = process.estate.clock.now_ms() // 1000
        short = vendors.licence(
            "ann",
            "subscription-ann",
            4,
            CycleTerms(anchor=FIRST_DAY, length_days=30),
            from_s=now_s - 600,
            to_s=now_s + 1800,
            interval_hours=24,
        )
        cluster = process.estate.cluster
        cluster.secret(SECRETS, OBJECTS, "ann-license", **{"license.jwt": short})
        await process.wait(1803)
        status = cluster.objects[USAGES.plural, OBJECTS, "ann"]["status"]
        found = {c["type"]: c["reason"] for c in status["conditions"]}
        assert found["Licensed"] == "LicenseExpired"

    run(work)
