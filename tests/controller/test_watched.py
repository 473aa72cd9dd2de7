"""Readiness ends while the watch is dead, and comes back with it."""

import asyncio

import pytest

from licenseusage.controller.effects.watched import Watched
from licenseusage.controller.rules.key import Key
from tests.controller.stage import Operator, until, usage

SHOP = Key("default", "shop")


@pytest.mark.looptime(start=0)
class TestTheRule:
    async def test_a_version_that_was_seen_and_not_told_is_missed_until_the_watch_tells_any(self):
        watched = Watched()
        watched.told(SHOP, "7")
        watched.seen(SHOP, "7")
        await asyncio.sleep(100)
        assert watched.deaf_seconds() == 0
        watched.seen(SHOP, "8")
        await asyncio.sleep(30)
        watched.seen(SHOP, "9")
        assert watched.deaf_seconds() == pytest.approx(30)
        watched.told(SHOP, "9")
        assert watched.deaf_seconds() == 0

    async def test_an_object_that_is_gone_is_not_missed(self):
        watched = Watched()
        watched.seen(SHOP, "8")
        await asyncio.sleep(30)
        watched.gone(SHOP)
        assert watched.deaf_seconds() == 0


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
