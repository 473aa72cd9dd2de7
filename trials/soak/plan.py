"""What a history consists of."""

from dataclasses import dataclass, field
from typing import Any

from licenseusage.metering.cycles import Terms
from trials.soak.answering import Product
from trials.soak.people import Store
from trials.soak.vendor import Outage


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happens at a time; ``kind`` is a method of the history."""

    at_ms: int
    kind: str
    subject: str = ""
    value: Any = None


@dataclass(slots=True)
class Usage:
    """One LicenseUsage and the products behind it.

    Attributes:
        spec: Its spec, as a person wrote it.
        licensed: It has a licence, so that reports are due.
        terms: Terms of its licence (or of its spec) and when each comes: the first at the start.
        stores: Source -> its store.
        combine: ``Union`` or ``Same``.
        boundaries: Ends of cycles, those that may be as well, ascending.
        pods: Replicas that serve it, each with troubles of its own.
        mode: How its reports reach the vendor at first: ``Online`` or ``Export``.
        endpoint: Its licence names an address; without one nothing is ever sent.
        carried: It is in export mode at some time.
        approval: Whether its reports wait for a person at first: ``Manual`` or ``Automatic``.
        approved: They do at some time.
        kind: Of its sources (``kinds.drawing``).
    """

    name: str
    spec: dict[str, Any]
    licensed: bool
    terms: list[tuple[int, Terms]]
    shops: dict[str, Product]
    boundaries: list[int]
    interval_hours: int
    pods: int = 1
    mode: str = "Online"
    endpoint: bool = True
    carried: bool = False
    approval: str = "Automatic"
    approved: bool = False
    kind: str = "Lists"

    @property
    def product(self) -> str:
        """The product's id."""
        return str(self.spec["product"])

    @property
    def lies(self) -> bool:
        """Whether its product is not to be believed, and not every lie need show."""
        return any(shop.deceives for shop in self.shops.values())

    @property
    def stores(self) -> list[Store]:
        """Every store of it."""
        return [shop.store for shop in self.shops.values()]


@dataclass(slots=True)
class Plan:
    """A history before it begins.

    Attributes:
        start_ms: When the operator is installed.
        end_ms: When all trouble ends.
        events: What happens, ascending in time.
        outages: Of the vendor.
        clock_error_ms: Of operator and vendor at the beginning.
    """

    seed: str
    start_ms: int
    end_ms: int
    usages: list[Usage]
    events: list[Event]
    outages: tuple[Outage, ...]
    clock_error_ms: tuple[int, int]
    spread_seconds: int
    kills: bool = True
    api_outages: list[tuple[int, int]] = field(default_factory=list)
