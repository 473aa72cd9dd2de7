"""The demo from top to bottom: set up, watch a cycle end, verify, say what to try next."""

import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field

from examples.product.generate import Truth
from hack.controlplane import ControlPlane
from hack.demo import carry, paper, stage, vendor
from hack.demo.children import Children
from hack.demo.failure import Failed
from hack.demo.plan import Plan, plan
from hack.demo.screen import Screen, overview, progress
from hack.demo.traffic import Traffic
from hack.demo.verdict import Point, points, settled
from hack.demo.watching import NOTHING, Object, Snapshot, changes
from hack.demo.way import Way

PEOPLE = 100_000
LEAD_SECONDS = 75
"""From the first process to the cycle's end: a minute, and what the rest of the set-up takes."""

PATIENCE_SECONDS = 90
"""How long the final report is waited for after the cycle's end, and then its receipt."""


def play(screen: Screen, *, once: bool, way: Way) -> bool:
    """Play the demo; return whether all of it was true.

    Args:
        screen: Where it is shown.
        once: End when it is done; else stay until Ctrl-C.
        way: Where the reports go; nowhere is a LicenseUsage with ``spec.cycle`` and no licence.

    Raises:
        Failed: A step did not work; the message tells which, and what the operator said.
    """
    screen.plain(_OPENING)
    if way is Way.EXPORT:
        screen.plain(_EXPORT_OPENING)
    cp: ControlPlane | None = None
    children: Children | None = None
    with ExitStack() as stack:
        try:
            with screen.step("a Kubernetes API: etcd and kube-apiserver", quiet=True):
                cp = stack.enter_context(ControlPlane())
            with screen.step("our custom resources, two namespaces"):
                stage.set_up_cluster(cp)
            children = stack.enter_context(Children(cp.folder))
            scene = _set_scene(screen, cp, children, stack, way)
            with screen.step("a cycle that ends while you watch", quiet=True):
                scene.watch(scene.cycle_is_over)
            if way is Way.EXPORT:
                scene.carry()
            with screen.step("look and verify", quiet=True):
                verdict = scene.verify()
            if not once:
                scene.say_what_next()
                scene.stay()
            return all(point.true for point in verdict)
        except Exception as error:
            raise Failed.seen(screen.current_step, error, cp, children) from error


_OPENING = """\
A month's end in two minutes. Everything is real but the time: a Kubernetes API, a product, a
vendor, the operator. A cycle of 30 days ends in about a minute.
"""

_EXPORT_OPENING = """\
The licence has no endpoint, so that nothing is sent: a file carries the reports to the vendor, and
receipts come back as Kubernetes objects. That takes half a minute more.
"""


def _set_scene(
    screen: Screen, cp: ControlPlane, children: Children, stack: ExitStack, way: Way
) -> "Scene":
    when = plan(time.time(), LEAD_SECONDS)
    screen.plain(when.words)
    database = cp.folder / "people.db"
    with screen.step(f"a product's database with {PEOPLE:,} people"):
        truth, people = stage.provision(database, when, PEOPLE)
    screen.line(f"  [bold]{_people(truth)}[/]; {truth.bots} accounts of machines are in it, too")
    with screen.step(f"the product: {stage.PODS} pods over one database"):
        urls = stage.start_product(cp, children, when, database)
        traffic = Traffic(truth, people, urls, when, now=lambda: time.time() + when.offset_seconds)
        traffic.start()
        stack.callback(traffic.stop)
    seller = None
    if way.licensed:
        with screen.step("the vendor: keys, a licence, a receiver"):
            seller = vendor.start(cp, children, when, screen, online=way is Way.ONLINE)
            vendor.give_to_customer(cp, seller)
    with screen.step("the operator"):
        known = seller if way is Way.ONLINE else None
        health = stage.start_operator(cp, children, when, known.ca if known else None)
    with screen.step(f"kubectl apply: LicenseUsage {stage.NAMESPACE}/{stage.USAGE}"):
        cp.apply(stage.usage(when, licensed=way.licensed))
    return Scene(screen, cp, children, when, truth, traffic, way, seller, urls, health)


def _people(truth: Truth) -> str:
    return f"{truth.provisioned:,} provisioned, {len(truth.active):,} active"


@dataclass(slots=True)
class Scene:
    """Everything runs; now it is watched, verified and handed to the reader.

    Attributes:
        way: Where the reports go.
        seller: The vendor; None if there is no licence.
        urls: The pods' addresses.
        health: The operator's address for health and metrics.
        seen: The last look at the cluster.
        over_shown: Whether the end of the cycle was shown.
        carried: What was seen of the way by a file.
    """

    screen: Screen
    cp: ControlPlane
    children: Children
    when: Plan
    truth: Truth
    traffic: Traffic
    way: Way
    seller: vendor.Vendor | None
    urls: list[str]
    health: str
    seen: Snapshot = NOTHING
    over_shown: bool = False
    carried: list[Point] = field(default_factory=list)

    def now(self) -> float:
        """The simulated time, seconds since the epoch."""
        return time.time() + self.when.offset_seconds

    def cycle_is_over(self, seen: Snapshot) -> bool:
        """Whether the ended cycle is final, and delivered or, in export mode, to be carried."""
        if self.way is Way.EXPORT:
            return carry.to_carry(seen)
        return settled(seen, licensed=self.way.licensed)

    def watch(self, done: Callable[[Snapshot], bool]) -> None:
        """Show what happens until it is ``done``.

        Raises:
            StageError: It is not within `PATIENCE_SECONDS`, counted from the cycle's end or now.
        """
        patient_until = max(self.now(), self.when.end) + PATIENCE_SECONDS
        with self.screen.table():
            while not done(self.seen):
                if self.now() > patient_until:
                    raise stage.StageError(f"not done within {PATIENCE_SECONDS} s")
                if not self.over_shown and self.now() >= self.when.end:
                    self.over_shown = True
                    words = f"the cycle is over: {_people(self.truth)} in it"
                    self.screen.event(self.now(), f"[bold]{words}[/]")
                self.look()
                time.sleep(1)

    def carry(self) -> None:
        """Carry the reports to the vendor and the receipts back; keep what was seen of it."""
        if self.seller is None:
            raise stage.StageError("there is no vendor to carry reports to")
        carrier = carry.prepare(self.cp, self.seller, self.when, self.screen)
        self.carried = carry.there_and_back(carrier, self.seen, self._receipted)

    def _receipted(self) -> Snapshot:
        self.watch(carry.brought_back)
        return self.seen

    def look(self) -> None:
        """Show what is new since the last look."""
        self.children.check()
        if self.traffic.failure is not None:
            raise stage.StageError(self.traffic.failure)
        listed = [item for kind, path in _OBJECTS.items() for item in self._listed(kind, path)]
        before, self.seen = self.seen, Snapshot.of(listed)
        for line in changes(before, self.seen):
            self.screen.event(self.now(), line)
        self.screen.show(overview(self.seen, self.when, self.now(), self.traffic.sign_ins))
        self.screen.alive(
            self.now(), progress(self.seen, self.when, self.now(), self.traffic.sign_ins)
        )

    def _listed(self, kind: str, path: str) -> list[Object]:
        answer = self.cp.get(path) or {"items": []}
        # In a list of the API server, events have no kind.
        return [{"kind": kind, **item} for item in answer["items"]]

    def verify(self) -> list[Point]:
        """Show the objects as kubectl does, let the command line verify, compare with the truth."""
        for kind in _SHOWN[self.way]:
            self.screen.command(["kubectl", "get", kind, "-n", stage.NAMESPACE])
            self.screen.plain(self.cp.kubectl("get", kind, "-n", stage.NAMESPACE).stdout)
        verdict = points(self.seen, len(self.truth.active), licensed=self.way.licensed)
        verdict += self.carried
        if self.seller is not None and self.seen.final:
            last = self.seen.final["spec"]["sequence"]
            verdict.append(vendor.verified(self.cp, self.seller, last, self.when, self.screen))
            enrolment = vendor.enrolment_file(self.cp)
            file = paper.statement_file(self.way)
            parties = (self.cp, self.seller, enrolment)
            verdict.append(paper.statement(*parties, self.when, self.screen, file))
        self.screen.plain(_WHY_EXACT)
        if not self.way.licensed:
            self.screen.plain(_WHY_NOTHING)
        for point in verdict:
            mark = "[green]✓[/]" if point.true else "[red]✗[/]"
            self.screen.line(f"  {mark} {point.claim}: [bold]{point.seen}[/]")
        return verdict

    def say_what_next(self) -> None:
        """Print commands to try, as they can be pasted."""
        self.screen.plain(_next_words(self))

    def stay(self) -> None:
        """Go on showing what happens until Ctrl-C."""
        with suppress(KeyboardInterrupt), self.screen.table():
            while True:
                self.look()
                time.sleep(1)


_OURS = f"/apis/licenseusage.dev/v1alpha1/namespaces/{stage.NAMESPACE}"
_OBJECTS = {
    "LicenseUsage": f"{_OURS}/licenseusages",
    "UsageReport": f"{_OURS}/usagereports",
    "UsageReceipt": f"{_OURS}/usagereceipts",
    "Event": f"/api/v1/namespaces/{stage.NAMESPACE}/events",
}
_SHOWN = {
    Way.ONLINE: ("licenseusage", "usagereports"),
    Way.EXPORT: ("licenseusage", "usagereports", "usagereceipts"),
    Way.NOWHERE: ("licenseusage",),
}

_WHY_EXACT = """\
Coverage is incomplete, since this operator was installed a minute before the cycle's end. The
number is exact all the same: the product remembers when each person was last active.
"""

_WHY_NOTHING = """\
Nothing was reported, and nothing could be: the object has spec.cycle instead of a licence. Cycles
are counted and shown, but without a licence there is no vendor, no endpoint, no chain of reports.
`make demo` shows the way with a licence."""


def _next_words(scene: Scene) -> str:
    kubectl, named = f"kubectl -n {stage.NAMESPACE}", f"licenseusage {stage.USAGE}"
    final = scene.seen.final.get("metadata", {}).get("name", "")
    lines = [
        "What to try next, in another terminal (here, in the repository):",
        "",
        f"  export KUBECONFIG={scene.cp.kubeconfig}",
        f"  export PATH={scene.cp.binaries.folder}:$PWD/.venv/bin:$PATH",
        f"  {kubectl} get licenseusage -o wide",
        f"  {kubectl} get {named} -o yaml",
        "  kubectl explain licenseusage.status",
        f"  {kubectl} events",
        f"  {kubectl} annotate {named} licenseusage.dev/requested-at=now      # collects at once",
        f"  {kubectl} delete {named}      # returns at once; the evidence stays",
        f"  curl -s {scene.health}/metrics | grep ^licenseusage",
        "",
        "The product, as the operator reads it:",
        f'  curl -s -H "Authorization: Bearer $(cat {scene.cp.folder / "product-token"})" \\',
        f"    '{scene.urls[0]}/.well-known/active-users?limit=3'",
    ]
    if scene.seller is not None:
        lines += [
            f"  {kubectl} get usagereport {final} -o yaml | licenseusage report show -",
            "",
            f"The vendor: {scene.seller.url}/ (the certificate is of a throw-away CA), or",
            f"  curl --cacert {scene.seller.ca} {scene.seller.url}/",
        ]
    if scene.seller is not None and scene.way is Way.EXPORT:
        lines += ["", *_words_of_carrying(scene, scene.seller)]
    return "\n".join([*lines, "", "The demo stays up until Ctrl-C; then nothing of it is left."])


def _words_of_carrying(scene: Scene, seller: vendor.Vendor) -> list[str]:
    """Return how the reader carries a file, too: here the ledger is beside, not in a pod."""
    file = scene.cp.folder / "all.usage-bundle"
    settings = stage.ledger_environment(scene.cp) | scene.when.environment
    return [
        "A file of your own (everything again, which changes nothing at the vendor):",
        *(f"  export {name}={value}" for name, value in settings.items()),
        f"  licenseusage report export --all -o {file}",
        f"  licenseusage bundle show {file}",
        f"  curl -sS --cacert {seller.ca} -H 'content-type: text/plain' --data-binary @{file} \\",
        f"    '{seller.url}/v1/bundles?format=yaml' | kubectl apply --server-side -f -",
        f"Or drop it on the vendor's page: {seller.url}/bundles",
    ]
