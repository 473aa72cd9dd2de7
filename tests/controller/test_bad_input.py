"""Bad input: each gives a condition with reason, what was seen and the fix; the others go on."""

import json
import time
from dataclasses import dataclass, field

import pytest

from tests.controller import sample
from tests.controller.sample import Product, answers
from tests.controller.stage import (
    Operator,
    create_pods,
    credentials,
    meter_secret,
    secret,
    until,
    usage,
)

pytestmark = pytest.mark.controlplane

NAMESPACE = "bad-input"


@dataclass
class Case:
    """A LicenseUsage that cannot be counted.

    Attributes:
        reason: Of ``Collected`` and ``Ready``.
        words: What the message must hold: what was seen, and the fix.
        stalled: Whether a person must act.
    """

    reason: str
    words: tuple[str, ...]
    stalled: bool = True
    fault: object = None
    source: dict = field(default_factory=dict)
    users: dict | None = None
    ready: bool = True
    pods: bool = True


def users(**expressions):
    return {"users": expressions}


CASES = {
    "no-secret": Case(
        "SecretNotFound",
        ("bad-input/absent", "create"),
        source={"auth": {"header": {"secretRef": {"name": "absent", "key": "token"}}}},
    ),
    "no-key": Case(
        "SecretKeyMissing",
        ("bad-input/meter", "other"),
        source={"auth": {"header": {"secretRef": {"name": "meter", "key": "other"}}}},
    ),
    "somebody-elses-secret": Case(
        "SecretNotCredentials",
        ("bad-input/database", "kubectl label secret database", "=true"),
        source={"auth": {"header": {"secretRef": {"name": "database", "key": "password"}}}},
    ),
    "wrong-credentials": Case(
        "Unauthorized",
        ("401", "Secret wrong"),
        source={"auth": {"header": {"secretRef": {"name": "wrong", "key": "token"}}}},
    ),
    "forbidden": Case("AccessDenied", ("403", "right"), fault=answers(403, b"{}")),
    "status-404": Case("PathNotFound", ("404", "http.path"), fault=answers(404, b"nothing")),
    "status-500": Case(
        "ServerError", ("500", "log"), stalled=False, fault=answers(500, b"secret stack trace")
    ),
    "html": Case(
        "AnswerNotJSON",
        ("HTML", "Check"),
        fault=answers(200, b"<html>", "text/html; charset=utf-8"),
    ),
    "empty": Case("AnswerEmpty", (), stalled=False, fault=answers(200, b"")),
    "invalid-json": Case(
        "AnswerInvalidJSON", (), stalled=False, fault=answers(200, b'{"users": [')
    ),
    "truncated": Case("", (), stalled=False, fault=sample.truncated),
    "enormous": Case(
        "PollTooLarge", ("4.0 MiB", "POLL_BYTES"), stalled=False, fault=sample.enormous
    ),
    "slow": Case("RequestTimeout", (), stalled=False, fault=sample.slow),
    "looping": Case("PagingIgnored", ("after", "http.pagination"), fault=sample.looping),
    "wrong-jmespath": Case("InvalidSource", ("users.id",), source=users(id="][")),
    "ids-missing": Case("IdMissing", ("users.id",), source=users(id="nothing")),
    "ids-not-strings": Case(
        "IdInvalid",
        ("users.id",),
        fault=answers(200, b'{"users": [{"id": {"a": 1}, "lastActive": null}], "next": null}'),
    ),
    "future": Case("StampInFuture", ("1 of 1", "exclude"), users={"eve": 90_000}),
    "unknown-preset": Case(
        "UnknownPreset", ("Nonsense", "Standard"), source={"preset": "Nonsense"}
    ),
    "no-pods": Case("NoPods", ("selector", "app=no-pods"), stalled=False, pods=False),
    "not-ready": Case("NoReadyPods", ("0 of 1", "kubectl"), stalled=False, ready=False),
    "no-port": Case(
        "PortNotFound",
        ("web", "http"),
        stalled=False,
        source={
            "pods": {
                "selector": {"matchLabels": {"app": "no-port"}},
                "port": "web",
                "scheme": "HTTP",
            }
        },
    ),
    "tls-on-plain": Case(
        "TLSFailed",
        ("plain HTTP", "pods.scheme"),
        source={
            "pods": {
                "selector": {"matchLabels": {"app": "tls-on-plain"}},
                "port": "http",
                "scheme": "HTTPS",
            }
        },
    ),
}


@pytest.fixture(scope="module")
def stage(crds, tmp_path_factory):
    crds.create_namespace(NAMESPACE)
    products = {}
    now = time.time()
    pods, objects = {}, []
    for name, case in {**CASES, "healthy": Case("", ())}.items():
        product = products[name] = Product()
        ahead = case.users or {"ann": -60, "bob": -120}
        product.users = {user: now + seconds for user, seconds in ahead.items()}
        product.fault = case.fault
        if case.pods:
            pods[name] = (product.port, case.ready)
        objects.append(usage(NAMESPACE, name, source=case.source))
    other = secret(NAMESPACE, "database", password=sample.TOKEN)
    crds.apply(
        [meter_secret(NAMESPACE), credentials(NAMESPACE, "wrong", token="wrong"), other, *objects]
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KUBECONFIG", str(crds.kubeconfig))
        create_pods(NAMESPACE, pods)
    operator = Operator(
        crds,
        NAMESPACE,
        tmp_path_factory.mktemp("operator"),
        poll_request_seconds=3,
        poll_seconds=8,
        poll_bytes=4 * 1024 * 1024,
    ).start()
    yield operator, products
    operator.stop()
    for product in products.values():
        product.close()


@pytest.mark.parametrize("name", list(CASES))
def test_bad_input_gives_a_condition_with_reason_what_was_seen_and_the_fix(stage, name):
    operator, _ = stage
    case = CASES[name]
    seen = operator.wait_condition(name, "Collected", "False", case.reason or None)
    for word in case.words:
        assert word in seen["message"], seen
    for private in (
        "Traceback",
        'File "',
        "secret stack trace",
        "ann",
        sample.TOKEN,
    ):
        assert private not in seen["message"].replace("cannot", "")
    status = operator.status(name)
    assert "activeUsers" not in status
    assert status["activeText"] == "unknown"
    conditions = {c["type"]: c for c in status["conditions"]}
    assert conditions["Ready"]["status"] == "False"
    assert ("Stalled" in conditions) == case.stalled, conditions
    assert ("Reconciling" in conditions) != case.stalled, conditions
    assert status["sources"][0]["reason"] == seen["reason"]


def test_a_secret_that_was_not_made_for_it_is_not_sent(stage):
    operator, products = stage
    operator.wait_condition("somebody-elses-secret", "Collected", "False", "SecretNotCredentials")
    assert products["somebody-elses-secret"].requests == 0


def test_the_command_of_the_message_lets_a_secret_be_used(stage, crds):
    operator, _ = stage
    seen = operator.wait_condition("somebody-elses-secret", "Collected", "False")
    crds.kubectl(*seen["message"].partition("kubectl ")[2].split())
    operator.wait_condition("somebody-elses-secret", "Ready", "True", seconds=100)


def test_the_operator_goes_on_with_the_others(stage):
    operator, _ = stage
    operator.wait_condition("healthy", "Ready", "True")
    assert operator.status("healthy")["activeUsers"] == 2


def test_what_never_worked_has_an_age_that_alerts_can_see(stage):
    operator, _ = stage
    lines = operator.http("/metrics")[1].splitlines()
    aged = [one for one in lines if one.startswith("licenseusage_collection_age_seconds{")]
    for name in CASES:
        assert any(f'name="{name}"' in one for one in aged), name


def test_no_traceback_reaches_the_log(stage):
    operator, _ = stage
    log = operator.log.read_text()
    assert "Traceback" not in log
    assert '"level": "error"' not in log


def test_a_number_stays_when_the_product_breaks_and_comes_back_by_itself(stage, crds):
    operator, products = stage
    operator.wait_condition("healthy", "Ready", "True")
    products["healthy"].fault = answers(500, b"")
    ask(crds, "healthy")
    operator.wait_condition("healthy", "Collected", "False", "ServerError")
    assert operator.status("healthy")["activeUsers"] == 2
    products["healthy"].fault = None
    ask(crds, "healthy")
    operator.wait_condition("healthy", "Ready", "True", "Succeeded")


def test_a_doubt_about_an_answer_is_told_although_the_poll_succeeded(stage, crds):
    """The rows count; that nobody is missing is contradicted by the answer's own total."""
    operator, products = stage
    operator.wait_condition("healthy", "Ready", "True", "Succeeded")
    product = products["healthy"]
    shown = [{"id": user, "lastActive": sample.stamp(at)} for user, at in product.users.items()]
    listed = {"users": sorted(shown, key=lambda row: row["id"]), "next": None, "total": 5}
    product.fault = answers(200, json.dumps(listed).encode())
    ask(crds, "healthy")

    def told():
        condition = operator.wait_condition("healthy", "Collected", "True")
        return "there are 5 users (member total), but the pages ended" in condition["message"]

    until(told, 30)
    status = operator.status("healthy")
    assert status["activeUsers"] == 2
    assert "provisionedUsers" not in status
    product.fault = None
    ask(crds, "healthy")
    until(lambda: not told(), 30)


def test_a_created_secret_is_noticed_without_a_word(stage, crds):
    operator, _ = stage
    operator.wait_condition("no-secret", "Collected", "False", "SecretNotFound")
    crds.apply(credentials(NAMESPACE, "absent", token=sample.TOKEN))
    operator.wait_condition("no-secret", "Ready", "True", seconds=100)


def test_a_pod_that_becomes_ready_is_noticed(stage, crds):
    operator, _ = stage
    crds.set_pod_ready(NAMESPACE, "not-ready-0", True)
    operator.wait_condition("not-ready", "Ready", "True", seconds=90)


def test_a_corrected_source_is_polled_at_once(stage, crds):
    operator, _ = stage
    operator.wait_condition("ids-missing", "Collected", "False")
    corrected = usage(NAMESPACE, "ids-missing")
    crds.apply(corrected)
    operator.wait_condition("ids-missing", "Ready", "True", seconds=15)
    until(lambda: operator.status("ids-missing").get("activeUsers") == 2, 10)


def ask(crds, name):
    stamp = f"licenseusage.dev/requested-at={time.time_ns()}"
    crds.kubectl("annotate", "--overwrite", f"lu/{name}", "-n", NAMESPACE, stamp)


def test_events_are_posted_on_transitions_only(stage, crds):
    found = json.loads(crds.kubectl("get", "events", "-n", NAMESPACE, "-o", "json").stdout)
    per_object = {}
    for event in found["items"]:
        about = event["involvedObject"]["name"], event["reason"]
        per_object[about] = per_object.get(about, 0) + 1
    assert ("status-404", "PathNotFound") in per_object
    assert max(per_object.values()) <= 3, per_object
