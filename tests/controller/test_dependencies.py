"""What objects depend on is asked for once a minute; those that have used another version are told.

Objects that wait for a person are looked at ever more rarely, and at once when that changes.
"""

import asyncio
from collections import Counter
from types import SimpleNamespace

import pytest

from licenseusage.controller.effects.dependencies import Dependencies, patience_seconds, version
from licenseusage.controller.effects.reportobjects import ReportObjects
from licenseusage.controller.process import background
from licenseusage.controller.rules.approval import APPROVED
from licenseusage.controller.rules.key import Key
from licenseusage.controller.rules.resources import PODS, SECRETS, Dependency, reports_of
from licenseusage.controller.steps.world import Remembered
from tests.controller.stage import create_pods, secret
from tests.delivery.people import reports, usage_report


def test_what_stays_the_same_is_looked_at_after_55_seconds_then_twice_as_late_up_to_10_minutes():
    memory = Remembered()
    waits = [patience_seconds(memory.same("no Secret")) for _ in range(6)]
    assert waits == [55, 110, 220, 440, 600, 600]
    assert patience_seconds(memory.same("no pods")) == 55


@pytest.mark.looptime(start=0)
class TestTheWatch:
    """In loop time: 1,500 objects, each of which waits for a Secret of its own."""

    def setup_method(self):
        self.versions, self.asked, self.nudged = {}, Counter(), []
        self.mended, self.forgotten = [], []
        self.world = SimpleNamespace(
            kube=self,
            dependencies=Dependencies(),
            reader=SimpleNamespace(forget=self.forgotten.append, forget_old=lambda _: None),
            collector=SimpleNamespace(mended=self.mended.append),
        )
        for number in range(1500):
            name = f"secret-{number}"
            on = [Dependency(SECRETS, "shop", name), Dependency(SECRETS, "shop", "shared")]
            self.world.dependencies.set(Key("shop", f"usage-{number}"), on)

    async def version(self, _resource, _namespace, name):
        self.asked[name] += 1
        return self.versions.get(name, "absent")

    def nudge(self, key):
        self.nudged.append((key, asyncio.get_running_loop().time()))

    def used(self, key, version, *on):
        """An object is reconciled, and what it depends on has this version."""
        self.world.dependencies.begin(key)
        for one in on:
            self.world.dependencies.saw(one, version)
        self.world.dependencies.set(key, on)

    async def watching(self, seconds):
        task = asyncio.create_task(background.watch_dependencies(self.world, self.nudge))
        await asyncio.sleep(seconds)
        return task

    async def test_a_change_is_noticed_within_a_minute_however_many_wait(self):
        task = await self.watching(600)
        assert not self.nudged, "nothing has changed"
        self.versions["secret-777"] = "uid/1"
        await asyncio.sleep(60)
        ((key, at),) = self.nudged
        assert key == ("shop", "usage-777")
        assert at <= 660
        assert self.mended == [key]
        assert self.forgotten == ["shop"], "and it is read anew"
        task.cancel()

    async def test_what_many_wait_for_is_asked_for_once_a_minute(self):
        task = await self.watching(600)
        assert max(self.asked.values()) <= 11
        self.versions["shared"] = "uid/1"
        await asyncio.sleep(60)
        assert len({key for key, _ in self.nudged}) == 1500
        task.cancel()

    async def test_who_waits_for_nothing_any_more_is_left_alone(self):
        task = await self.watching(600)
        self.world.dependencies.set(Key("shop", "usage-5"))
        await asyncio.sleep(60)
        before = self.asked["secret-5"]
        self.versions["secret-5"] = "uid/1"
        await asyncio.sleep(120)
        assert self.asked["secret-5"] == before
        assert not self.nudged
        task.cancel()

    async def test_an_api_server_that_does_not_answer_is_no_change(self):
        task = await self.watching(120)
        self.versions["secret-5"] = None
        await asyncio.sleep(120)
        del self.versions["secret-5"]
        await asyncio.sleep(120)
        assert not self.nudged
        task.cancel()

    async def test_a_change_between_a_reconcile_and_the_first_question_is_noticed(self):
        one, key = Dependency(SECRETS, "shop", "license"), Key("shop", "licensed")
        self.used(key, "uid/1", one)
        self.versions["license"] = "uid/2"
        task = await self.watching(60)
        assert [key for key, _ in self.nudged] == [key]
        task.cancel()

    async def test_a_change_that_somebody_else_read_while_an_object_was_reconciled_is_noticed(self):
        one, key = Dependency(SECRETS, "shop", "license"), Key("shop", "licensed")
        dependencies = self.world.dependencies
        self.versions["license"] = "uid/2"
        dependencies.saw(one, "uid/1")
        dependencies.begin(key)  # reads the first version
        await asyncio.sleep(1)
        dependencies.saw(one, "uid/2")  # a poll
        dependencies.set(key, [one])
        task = await self.watching(60)
        assert [key for key, _ in self.nudged] == [key]
        task.cancel()

    async def test_what_the_operator_itself_has_written_is_no_news(self):
        one, key = Dependency(SECRETS, "shop", "identity"), Key("shop", "licensed")
        self.used(key, "uid/1", one)
        self.world.dependencies.wrote(one, "uid/2")
        self.versions["identity"] = "uid/2"
        task = await self.watching(120)
        assert not self.nudged
        task.cancel()

    async def test_a_change_is_noticed_within_a_minute_also_where_the_api_server_is_slow(self):
        answer = self.version

        async def slowly(*what):
            await asyncio.sleep(0.03)
            return await answer(*what)

        self.version = slowly
        task = await self.watching(600)
        assert min(self.asked[f"secret-{number}"] for number in range(1500)) >= 10
        task.cancel()


@pytest.mark.controlplane
class TestVersions:
    """On the real API server: a version changes with what it is of, and with nothing else."""

    async def test_a_secret_made_changed_and_deleted_shows(self, crds, kube, namespace):
        one, seen = Dependency(SECRETS, namespace, "meter"), []
        seen.append(await version(kube, one))
        crds.apply(secret(namespace, "meter", token="first"))
        seen.append(await version(kube, one))
        crds.apply(secret(namespace, "other", token="other"))
        assert await version(kube, one) == seen[-1]
        crds.apply(secret(namespace, "meter", token="second"))
        seen.append(await version(kube, one))
        assert len(set(seen)) == 3
        crds.kubectl("delete", "secret", "meter", "-n", namespace)
        assert await version(kube, one) == seen[0] == "absent"

    async def test_a_pod_of_the_selector_that_becomes_ready_shows(self, crds, kube, namespace):
        one = Dependency(PODS, namespace, selector="app=shop")
        nobody = await version(kube, one)
        await asyncio.to_thread(create_pods, namespace, {"shop": (80, False), "other": (80, True)})
        there = await version(kube, one)
        await asyncio.to_thread(crds.set_pod_ready, namespace, "shop-0", True)
        ready = await version(kube, one)
        await asyncio.to_thread(crds.set_pod_ready, namespace, "other-0", False)
        assert await version(kube, one) == ready
        assert len({nobody, there, ready}) == 3

    async def test_an_annotation_of_a_report_shows_and_reading_them_has_used_what_was_there(
        self, crds, kube, namespace
    ):
        saw = {}
        objects = ReportObjects(kube, saw.__setitem__)
        crds.apply(usage_report(reports(1)[0], namespace, "production-000001"))
        key = Key(namespace, "production")
        await objects.live(key)
        assert saw == {reports_of(key): await version(kube, reports_of(key))}
        assert saw[reports_of(key)] != ""
        crds.kubectl("annotate", "ur", "production-000001", "-n", namespace, f"{APPROVED}=x")
        assert await version(kube, reports_of(key)) != saw[reports_of(key)]

    async def test_what_may_not_be_read_shows_once_it_may(self, crds, kube_as, namespace):
        kube = await kube_as(namespace)
        one = Dependency(SECRETS, namespace, "meter")
        assert await version(kube, one) == "forbidden"
        role = ("create", "role", "reads", "--verb=get", "--resource=secrets")
        crds.kubectl(*role, "-n", namespace)
        grant = ("create", "rolebinding", "reads", f"--serviceaccount={namespace}:default")
        crds.kubectl(*grant, "--role=reads", "-n", namespace)
        async with asyncio.timeout(30):
            while await version(kube, one) == "forbidden":  # the authoriser hears of it by a watch
                continue
        assert await version(kube, one) == "absent"
