"""Readiness ends while the watch is dead, and comes back with it."""

import asyncio

import pytest

from licenseusage.controller.effects.watched import Watched
from licenseusage.controller.rules.key import Key
from tests.controller.stage import Operator, until, usage

SHOP = Key("default", "shop")


def shop(version, *, spec=None, status=None):
    meta = {"name": "shop", "namespace": "default", "uid": "1", "resourceVersion": version}
    found = {"metadata": meta, "spec": spec or {"product": "shop"}}
    return found if status is None else {**found, "status": status}


@pytest.mark.looptime(start=0)
class TestTheRule:
    async def test_a_version_that_was_seen_and_not_told_is_missed_until_the_watch_tells_any(self):
        watched = Watched()
        watched.streamed(SHOP, shop("7"))
        watched.seen(SHOP, shop("7"))
        await asyncio.sleep(100)
        assert watched.deaf_seconds() == 0
        watched.seen(SHOP, shop("8"))
        await asyncio.sleep(30)
        watched.seen(SHOP, shop("9"))
        assert watched.deaf_seconds() == pytest.approx(30)
        watched.streamed(SHOP, shop("9"))
        assert watched.deaf_seconds() == 0

    async def test_an_object_that_is_gone_is_not_missed(self):
        watched = Watched()
        watched.seen(SHOP, shop("8"))
        await asyncio.sleep(30)
        watched.gone(SHOP)
        assert watched.deaf_seconds() == 0

    async def test_a_list_that_shows_a_newer_version_than_the_watch_is_a_reason_to_look(self):
        watched = Watched()
        watched.streamed(SHOP, shop("9"))
        assert watched.listed({SHOP: "9"}) == set()
        assert watched.listed({SHOP: "8"}) == set(), "a LIST that was made before the event"
        assert watched.deaf_seconds() == 0
        assert watched.listed({SHOP: "10"}) == {SHOP}
        assert watched.object(SHOP) is None, "and the object is read"
        await asyncio.sleep(30)
        assert watched.deaf_seconds() == pytest.approx(30)

    async def test_an_object_that_a_list_does_not_show_any_more_is_looked_at(self):
        watched = Watched()
        watched.streamed(SHOP, shop("9"))
        assert watched.listed({}) == {SHOP}
        assert watched.object(SHOP) is None
        assert watched.listed({}) == set()

    async def test_an_object_that_is_newer_than_a_list_is_not_missed(self):
        watched = Watched()
        watched.streamed(SHOP, shop("9"))
        assert watched.listed({}) == {SHOP}
        watched.seen(SHOP, shop("9"))
        await asyncio.sleep(100)
        assert watched.deaf_seconds() == 0
        assert watched.object(SHOP) == shop("9")

    async def test_an_own_status_that_no_event_has_told_shows_a_deaf_watch_and_is_no_news(self):
        watched = Watched()
        watched.streamed(SHOP, shop("9"))
        watched.writes(SHOP, {"activeUsers": 1})
        watched.wrote(SHOP, shop("10", status={"activeUsers": 1}))
        assert watched.listed({SHOP: "10"}) == set()
        await asyncio.sleep(30)
        assert watched.deaf_seconds() == pytest.approx(30)


@pytest.mark.looptime(start=0)
class TestTheObject:
    """What a reconcile gets, and which events are worth one."""

    def setup_method(self):
        self.watched = Watched()

    def streamed(self, version, **changes):
        return self.watched.streamed(SHOP, shop(version, **changes))

    def write(self, version, status):
        self.watched.writes(SHOP, status)
        self.watched.wrote(SHOP, shop(version, status=status))

    async def test_it_is_what_the_watch_has_told(self):
        assert self.watched.object(SHOP) is None
        self.watched.seen(SHOP, shop("7"))
        assert self.watched.object(SHOP) is None, "only a GET has shown it"
        assert not self.streamed("7"), "and this has been looked at"
        assert self.watched.object(SHOP) == shop("7")
        assert self.streamed("8", spec={"product": "wiki"})
        assert self.watched.object(SHOP) == shop("8", spec={"product": "wiki"})

    async def test_the_own_status_is_known_at_once_and_its_event_is_no_news(self):
        self.streamed("7")
        self.write("8", {"activeUsers": 1})
        assert self.watched.object(SHOP) == shop("8", status={"activeUsers": 1})
        assert not self.streamed("8", status={"activeUsers": 1})

    async def test_the_event_of_the_own_status_may_come_before_the_answer(self):
        self.streamed("7")
        self.watched.writes(SHOP, {"activeUsers": 1})
        assert not self.streamed("8", status={"activeUsers": 1})
        self.watched.wrote(SHOP, shop("8", status={"activeUsers": 1}))
        assert self.watched.object(SHOP) == shop("8", status={"activeUsers": 1})

    async def test_a_change_of_somebody_else_while_the_status_is_written_is_news(self):
        self.streamed("7")
        self.watched.writes(SHOP, {"activeUsers": 1})
        both = shop("9", spec={"product": "wiki"}, status={"activeUsers": 1})
        self.watched.wrote(SHOP, both)
        assert self.streamed("8", spec={"product": "wiki"})
        assert self.watched.object(SHOP) == both, "an older event takes no status back"
        assert not self.streamed("9", spec={"product": "wiki"}, status={"activeUsers": 1})

    @pytest.mark.parametrize(
        "changes",
        [
            {"annotations": {"licenseusage.dev/requested-at": "now"}},
            {"uid": "another"},
            {"generation": 2},
            {"deletionTimestamp": "2026-01-01T00:00:00Z"},
        ],
    )
    async def test_whatever_else_changes_is_news(self, changes):
        self.streamed("7")
        self.write("8", {"activeUsers": 1})
        later = shop("9", status={"activeUsers": 1})
        later["metadata"] |= changes
        assert self.watched.streamed(SHOP, later)

    async def test_a_status_that_somebody_else_writes_is_news(self):
        self.streamed("7")
        self.write("8", {"activeUsers": 1})
        assert self.streamed("9", status={"activeUsers": 99})

    async def test_who_owns_which_field_is_no_news_and_not_kept(self):
        self.streamed("7")
        later = shop("8")
        later["metadata"]["managedFields"] = [{"manager": "kubectl"}]
        assert not self.watched.streamed(SHOP, later)
        assert self.watched.object(SHOP) == shop("8")


@pytest.mark.controlplane
def test_an_operator_whose_watch_is_refused_is_not_ready_until_it_is_permitted(
    crds, namespace, tmp_path
):
    def permit(*verbs):
        crds.apply(
            [
                {
                    "apiVersion": "rbac.authorization.k8s.io/v1",
                    "kind": "ClusterRole",
                    "metadata": {"name": namespace},
                    "rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": list(verbs)}],
                },
                {
                    "apiVersion": "rbac.authorization.k8s.io/v1",
                    "kind": "ClusterRoleBinding",
                    "metadata": {"name": namespace},
                    "roleRef": {
                        "apiGroup": "rbac.authorization.k8s.io",
                        "kind": "ClusterRole",
                        "name": namespace,
                    },
                    "subjects": [
                        {"kind": "ServiceAccount", "name": "default", "namespace": namespace}
                    ],
                },
            ]
        )

    permit("get", "list", "create", "update", "patch")
    crds.apply([usage(namespace)])
    kubeconfig = crds.kubeconfig_for(namespace, "default")
    operator = Operator(crds, namespace, tmp_path, kubeconfig=kubeconfig).start()
    try:
        operator.wait_condition("shop", "Ready", "False")
        seen = until(lambda: (told := operator.http("/readyz"))[0] == 503 and told, 120)
        assert "right to watch" in seen[1]
        permit("get", "list", "create", "update", "patch", "watch")
        until(lambda: operator.ready, 60)
    finally:
        operator.stop()
