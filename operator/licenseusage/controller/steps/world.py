"""Everything that a reconcile may use, in one value; there are no globals."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from licenseusage.clock import SystemClock
from licenseusage.controller.effects.books import Books
from licenseusage.controller.effects.collection import Collector
from licenseusage.controller.effects.deliveries import Deliveries
from licenseusage.controller.effects.dependencies import Dependencies
from licenseusage.controller.effects.events import Events
from licenseusage.controller.effects.histories import VendorHistories
from licenseusage.controller.effects.identity import Keys
from licenseusage.controller.effects.intake import Intake
from licenseusage.controller.effects.kube import Kube
from licenseusage.controller.effects.metrics import Metrics
from licenseusage.controller.effects.published import PublishedStatements
from licenseusage.controller.effects.receipts import Receipts
from licenseusage.controller.effects.reportobjects import ReportObjects
from licenseusage.controller.effects.secrets import SecretReader
from licenseusage.controller.effects.verdicts import Verdicts
from licenseusage.controller.effects.watched import Watched
from licenseusage.controller.rules.key import Key
from licenseusage.controller.rules.recovering import Recovering
from licenseusage.controller.settings import Settings
from licenseusage.controller.steps.licensing import VendorKeysRef
from licenseusage.metering.amendment import Narrowed, Refuted
from licenseusage.metering.statement import CycleStatement
from licenseusage.reports.content import OperatorInfo


@dataclass(slots=True)
class Judged:
    """What one process remembers of a cycle's evidence; losing it costs a comparison.

    Attributes:
        evidence: How much of it there was.
        verdict: What it came to.
        again_ms: When it is tried again to act on it.
    """

    evidence: int
    verdict: Narrowed | Refuted | None
    again_ms: int = 0


@dataclass(slots=True)
class Remembered:
    """What one process remembers of an object; losing it costs a repetition, never a fact.

    Attributes:
        requested: Last seen value of the request annotation; "" before the first look.
        route: Digest of what delivery depends on, as the ledger has it.
        objects: What the UsageReport objects were last made to say.
        objects_at_s: When, by the loop's time.
        history: Chain -> what is known of what it has lost (`history.look`).
        history_known: That was looked for, receipts included.
        history_at_s: When, by the loop's time.
        history_from: What it depends on, as it was then.
        statements: Cached statements, by cycle, beside what they were made from.
        growth: Start of an ended cycle -> how often evidence came, and its users by first day.
        judged: What later evidence came to, by cycle.
        asked_ms: When an administrator asked last; None: not yet.
        offered: Digest of the licence that the vendor was last offered; None: none.
        findings: What the last look found.
        looks: How many looks before it found the same.
    """

    requested: str | None = ""
    route: str | None = None
    objects: object = None
    objects_at_s: float = 0.0
    history: Mapping[str, Recovering] = field(default_factory=dict)
    history_known: bool = False
    history_at_s: float = 0.0
    history_from: object = None
    statements: dict[int, tuple[object, CycleStatement]] = field(default_factory=dict)
    growth: dict[int, tuple[int, tuple[int, ...]]] = field(default_factory=dict)
    judged: dict[int, Judged] = field(default_factory=dict)
    asked_ms: int | None = None
    offered: str | None = None
    findings: object = None
    looks: int = 0

    def same(self, findings: object) -> int:
        """Note what a look found; return how many looks in a row have found the same before."""
        self.looks = self.looks + 1 if findings == self.findings else 0
        self.findings = findings
        return self.looks


@dataclass(slots=True)
class FirstStart:
    """Whether it is settled that this is, or is not, a first start (`meters.keys_pending`)."""

    settled: bool = False
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass(frozen=True, slots=True)
class World:
    """The operator's surroundings.

    Attributes:
        permille: A uniform draw from 0 to 999, new at each call.
        random_bytes: Returns so many random octets.
        known: Objects that the ledger has a meter for.
        dependencies: What objects depend on.
        watched: The objects, as the watch has told them.
        started_ms: When this process began to look after objects.
        verdicts: Tell of what the vendor decided.
        receipts: UsageReceipts.
        intake: Takes what products push.
        operator: Version and cluster, as reports state them.
    """

    settings: Settings
    clock: SystemClock
    kube: Kube
    books: Books
    reader: SecretReader
    keys: Keys
    events: Events
    metrics: Metrics
    collector: Collector
    deliveries: Deliveries
    histories: VendorHistories
    objects: ReportObjects
    published: PublishedStatements
    vendor: VendorKeysRef
    operator: OperatorInfo
    permille: Callable[[], int]
    random_bytes: Callable[[int], bytes]
    started_ms: int
    verdicts: Verdicts
    intake: Intake
    remembered: dict[Key, Remembered] = field(default_factory=dict)
    known: set[Key] = field(default_factory=set)
    first_start: FirstStart = field(default_factory=FirstStart)
    dependencies: Dependencies = field(default_factory=Dependencies)
    watched: Watched = field(default_factory=Watched)
    receipts: Receipts = field(default_factory=Receipts)

    def memory(self, key: Key) -> Remembered:
        """Return what is remembered of an object."""
        return self.remembered.setdefault(key, Remembered())

    def forget(self) -> None:
        """Forget what came from the ledger."""
        self.remembered.clear()
        self.known.clear()
        self.first_start.settled = False

    def machine_s(self) -> float:
        """Return the machine's own time, epoch seconds, without a simulated shift."""
        return self.clock.now_ms() / 1000 - self.clock.offset_seconds

    def reference_offset_seconds(self) -> int | None:
        """Return the API server's clock minus ours, whole seconds; None if it is not known."""
        reference = self.kube.reference_seconds()
        return None if reference is None else round(reference - self.machine_s())
