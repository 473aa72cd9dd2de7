"""The object of one reconcile: as read, its spec, and its immediate problems."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from licenseusage.api.licenseusage import LicenseUsage
from licenseusage.api.reading import read_license_usage
from licenseusage.controller.rules.key import Key
from licenseusage.errors import Stalled

REQUESTED_AT = "licenseusage.dev/requested-at"


@dataclass(frozen=True, slots=True)
class Subject:
    """A LicenseUsage as the API server has it.

    Attributes:
        key: Namespace and name.
        raw: The object as JSON: what events and the status comparison need.
        usage: Its model; an error if the stored object does not fit it (an older or newer CRD).
    """

    key: Key
    raw: dict[str, Any]
    usage: LicenseUsage | Stalled

    @classmethod
    def read(cls, key: Key, raw: dict[str, Any]) -> "Subject":
        """Validate an object; never raises, an invalid one is a condition."""
        try:
            return cls(key, raw, read_license_usage(raw))
        except Stalled as error:
            return cls(key, raw, error)

    @property
    def generation(self) -> int:
        """Generation of the spec."""
        return int(self.raw["metadata"].get("generation", 0))

    @property
    def status(self) -> dict[str, Any]:
        """The live status; empty before the first write."""
        return dict(self.raw.get("status") or {})

    @property
    def conditions(self) -> list[dict[str, Any]]:
        """The live conditions."""
        return list(self.status.get("conditions") or [])

    @property
    def counted_before(self) -> bool:
        """Whether the status shows a cycle: evidence of an earlier start."""
        return "cycle" in self.status or "history" in self.status

    def waits_since_s(self, clock_offset_s: int) -> dict[str, int]:
        """Return declared source -> since when a success is waited for, epoch seconds.

        That of its last success as the status tells it, else the object's creation. Read from the
        object as it is, so that there is an age also where its spec cannot be acted on.

        Args:
            clock_offset_s: Added to the creation, which the API server's clock dated.
        """
        declared = self.raw.get("spec", {}).get("sources") or ()
        sources = self.status.get("sources") or ()
        last = {
            source["name"]: source["lastSuccessTime"]
            for source in sources
            if "lastSuccessTime" in source
        }
        created = _seconds(self.raw["metadata"]["creationTimestamp"]) + clock_offset_s
        return {
            str(source["name"]): _seconds(last[source["name"]])
            if source["name"] in last
            else created
            for source in declared
            if "name" in source
        }

    @property
    def worked(self) -> frozenset[str]:
        """The sources that have been read with success, as the status tells."""
        sources = self.status.get("sources") or ()
        return frozenset(source["name"] for source in sources if "lastSuccessTime" in source)

    @property
    def requested(self) -> str | None:
        """The administrator's request to collect and send now; any new value is a new request."""
        annotations = self.raw["metadata"].get("annotations") or {}
        return annotations.get(REQUESTED_AT)


def _seconds(time: str) -> int:
    return int(datetime.fromisoformat(time).timestamp())
