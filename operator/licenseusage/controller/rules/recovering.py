"""What an object says of a chain whose history was lost or contradicted, and how it can go on."""

from dataclasses import dataclass

from licenseusage.errors import Failure, Stalled, UsageError
from licenseusage.ledger.documents.records import (
    FORKED,
    HISTORY_LOST,
    ChainState,
    MeterFacts,
    ReportChain,
)
from licenseusage.reasons import Reason
from licenseusage.reports.names import Link


def why_stopped(facts: MeterFacts, chain: ReportChain) -> str | None:
    """Return why nothing is signed or sent of a chain of the object's; None: it goes on."""
    reports, enrolled = facts.chains[chain.id], facts.chains[chain.key_chain_id]
    # What was lost of the subscription's chains is known of one that was completed.
    known = reports.resumed and enrolled.stopped == HISTORY_LOST
    return reports.stopped or (None if known else enrolled.stopped)


@dataclass(frozen=True, slots=True)
class Recovering:
    """How far the recovery of a stopped chain has come (REPORT_FORMAT §11).

    Attributes:
        seen: What was seen of it that the ledger does not hold; None: the vendor's answer alone
            contradicts it.
        hole: Why it is not completed from what is known; None: that was not tried.
        vendor: Why the vendor's history is not known; None: it is, or was not asked for.
        proposed: The head that an administrator could name; None: there is none.
        given_up: The last report that is known to have existed, where nothing is left of any: the
            chain begins anew if an administrator names it; None: otherwise.
        refused: Why ``spec.reporting.adoptHead`` is not followed; None: it is not set.
        asking: The vendor is being asked for its history, and nothing is decided before it has
            answered, or cannot be reached.
    """

    seen: str | None = None
    hole: str | None = None
    vendor: Failure | None = None
    proposed: Link | None = None
    given_up: Link | None = None
    refused: UsageError | None = None
    asking: bool = False

    @property
    def words(self) -> str:
        """Why the chain was not completed; empty: that was not tried."""
        parts = []
        if self.hole is not None:
            parts.append(f"; the reports that are known do not complete it: {self.hole}")
        if self.vendor is not None:
            parts.append(f"; the vendor's history is not known: {self.vendor.message}")
        return "".join(parts)

    @property
    def way_out(self) -> str:
        """The consent that would let the chain go on; empty: there is no such head."""
        if self.proposed is None and self.given_up is not None:
            return (
                f" If the report is lost for good: nothing is left of it here, and the vendor does "
                f"not hold it. To begin the chain anew without it, set spec.reporting.adoptHead to "
                f"{self.given_up.digest}."
            )
        if self.proposed is None:
            return ""
        return (
            f" To go on behind report {self.proposed.sequence} all the same, and to set aside what "
            f"is not in its history, set spec.reporting.adoptHead to {self.proposed.digest}."
        )

    def stalled(self, stopped: str, reports: ChainState, identity_secret: str) -> Stalled:
        """Return what a person has to know, and to decide.

        Args:
            stopped: Why (`why_stopped`).
            reports: The chain, as the ledger knows it.
            identity_secret: Namespace and name of the Secret with the signing key.
        """
        chain = f"chain {reports.id}"
        end = f"ends with {reports.head.sequence}" if reports.head else "has none"
        if self.seen is not None:
            what = f"{self.seen} of {chain}, which the ledger does not hold (the ledger {end})"
        elif reports.stopped is None:
            what = (
                f"Secret {identity_secret} says that it has enrolled, and the ledger does not know "
                f"of it"
            )
        else:
            what = f"The vendor's history of {chain} contradicts the ledger's (the ledger {end})"
        what += self.words
        if self.asking:
            return Stalled(
                Reason.known(stopped, FORKED),
                f"{what}. The vendor is asked for its history first. Counting goes on; no report "
                f"is signed or sent meanwhile.",
            )
        if self.refused is not None:
            return Stalled(
                self.refused.reason,
                f"spec.reporting.adoptHead is not followed: {self.refused.message}. Nothing was "
                f"changed.{self.way_out} {what}. Counting goes on; no report is signed or sent.",
            )
        return Stalled(
            Reason.known(stopped, FORKED),
            f"{what}. Counting goes on; no report is signed or sent until a person has decided "
            f"which history stands. If the ledger was lost or restored, merge the previous one "
            f"(licenseusage ledger merge), or restore its newest backup (licenseusage ledger "
            f"restore). If the identity was copied from another cluster, give this copy its own "
            f"(licenseusage keys new identity).{self.way_out} See docs/operations.md.",
        )
