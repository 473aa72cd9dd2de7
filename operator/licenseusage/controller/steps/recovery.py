"""Letting a stopped chain go on: from what is known elsewhere, or by an administrator's consent.

One work on the ledger for each chain: what is decided and what is written see the same state.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import structlog

from licenseusage.controller.effects.gatherer import Gatherer
from licenseusage.controller.rules.adopting import Histories, adopted, histories, proposed
from licenseusage.controller.rules.evidence import KnownReport
from licenseusage.controller.rules.issuer import Context
from licenseusage.controller.rules.rebuilding import by_chain, rebuilt
from licenseusage.controller.rules.recovering import Recovering
from licenseusage.controller.steps.meters import begin_cycles
from licenseusage.controller.steps.world import World
from licenseusage.delivery.history import History
from licenseusage.errors import Failure, Stalled, UsageError
from licenseusage.ledger.documents.records import HISTORY_LOST, Adoption, ReportChain
from licenseusage.ledger.documents.recovering import NotWholeError
from licenseusage.ledger.ledger import Ledger
from licenseusage.reasons import Reason
from licenseusage.reports.keys import InstallationKeys
from licenseusage.reports.licence import License
from licenseusage.reports.receipt import Receipt, Sent
from licenseusage.reports.refused import Refused

_log = structlog.get_logger(__name__)
_HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class Outside:
    """What is known of an object's chains outside of the ledger.

    Attributes:
        objects: Reports by the name of their UsageReport.
        at_vendor: Reports that the vendor holds.
        loose: Receipts that came without their reports, verified.
        foreign: Digest of a report in a UsageReport that is none of ours -> the object's name.
        vendor: Chain -> what the vendor answered.
    """

    objects: Mapping[str, KnownReport]
    at_vendor: tuple[KnownReport, ...] = ()
    loose: tuple[Receipt, ...] = ()
    foreign: Mapping[str, str] = field(default_factory=dict)
    vendor: Mapping[str, History | Failure] = field(default_factory=dict)

    @property
    def chains(self) -> Mapping[str, list[KnownReport]]:
        """The reports of each chain."""
        return by_chain((*self.objects.values(), *self.at_vendor))


@dataclass(frozen=True, slots=True)
class ReportedChain:
    """A chain that the object's reports may be in, and what they are judged by."""

    chain: ReportChain
    license: License
    keys: InstallationKeys
    now_ms: int


def known_report(token: str) -> KnownReport:
    """Return one of our reports, whose receipt, if there is one, is known by itself."""
    return KnownReport(token, Sent.from_token(token), None)


async def recover(
    world: World, context: Context, known: Gatherer, reported: ReportedChain, outside: Outside
) -> Recovering | None:
    """Let a stopped chain go on, if that can be; return why not.

    Raises:
        UsageError: The ledger cannot be read or written.
    """
    work = _Work(known.facts.meter.id, context.adopt_head, reported, outside)
    result = await known.do(work.recover)
    if isinstance(result, Recovering):
        return result
    world.memory(context.key).statements.clear()
    world.memory(context.key).judged.clear()
    world.receipts.wake()
    # Cycles that no report is about, between those that are known again.
    await begin_cycles(known, context.clock.counting_ms)
    chain = reported.chain.id
    _log.warning("the chain goes on", object=str(context.key), chain=chain, why=result)
    return None


@dataclass(frozen=True, slots=True)
class _Work:
    """What is done to the ledger for one chain."""

    meter_id: int
    adopt_head: str | None
    reported: ReportedChain
    outside: Outside

    @property
    def _interim_ms(self) -> int:
        return self.reported.license.interval_hours * _HOUR_MS

    def recover(self, ledger: Ledger) -> Recovering | str:
        """Return why the chain goes on, in words; or how far its recovery is."""
        chain = self.reported.chain
        state = ledger.chain(chain.id)
        nothing_left = self._vendor_holds_nothing() and state.head is None
        lost = state.lost[-1] if state.lost and state.stopped == HISTORY_LOST else None
        if nothing_left and state.stopped is None:
            ledger.begin_anew(chain, self.reported.now_ms)
            return "it begins: the vendor holds no report of it"
        if nothing_left and lost is not None and self.adopt_head == lost.digest:
            ledger.begin_anew(chain, self.reported.now_ms)
            return f"an administrator has given up {lost.digest}; the vendor holds no report of it"
        hole = self._complete(ledger)
        if hole is None:
            return "it was completed from the reports that are known"
        known = self._everything(ledger)
        refused = None if self.adopt_head is None else self._adopt(ledger, self.adopt_head, known)
        if self.adopt_head is not None and refused is None:
            return f"an administrator has named its head {self.adopt_head}"
        reported, answer = self.reported, self.outside.vendor.get(chain.id)
        now_s = reported.now_ms // 1000
        return Recovering(
            hole=hole,
            vendor=answer if isinstance(answer, Failure) else None,
            proposed=proposed(known, license_=reported.license, keys=reported.keys, now_s=now_s),
            refused=refused,
            given_up=lost if nothing_left else None,
        )

    def _vendor_holds_nothing(self) -> bool:
        chain_id = self.reported.chain.id
        answer = self.outside.vendor.get(chain_id)
        nothing = isinstance(answer, History) and answer.enrolled and not answer.reports
        loose = any(receipt.chain_id == chain_id for receipt in self.outside.loose)
        return nothing and not loose and not self.outside.chains.get(chain_id)

    def _complete(self, ledger: Ledger) -> str | None:
        """Take over what completes the chain; return why nothing does."""
        reported, chain = self.reported, self.reported.chain
        aside = {each.link.digest for each in ledger.set_aside(chain.id)}
        of_chain = self.outside.chains.get(chain.id, [])
        try:
            documents = rebuilt(
                ledger.chain(chain.id),
                ledger.key_statements(chain.id),
                [each for each in of_chain if each.sent.subject.digest not in aside],
                self.outside.loose,
                license_=reported.license,
                keys=reported.keys,
                now_s=reported.now_ms // 1000,
            )
            ledger.take_over(
                self.meter_id, chain, documents, reported.now_ms, interim_ms=self._interim_ms
            )
        except Refused as refused:
            return refused.message
        except NotWholeError as error:
            return str(error)
        return None

    def _everything(self, ledger: Ledger) -> Histories:
        """Return everything that is known of the chain, what was set aside before, too."""
        chain_id = self.reported.chain.id
        aside = [known_report(each.token) for each in ledger.set_aside(chain_id) if each.token]
        return histories(
            ledger.chain(chain_id),
            ledger.key_statements(chain_id),
            [*self.outside.chains.get(chain_id, []), *aside],
            self.outside.loose,
            license_=self.reported.license,
            keys=self.reported.keys,
        )

    def _adopt(self, ledger: Ledger, head: str, known: Histories) -> UsageError | None:
        """Let the chain go on behind a head; return why it is not followed."""
        adoption = _adoption(ledger, self.reported, head, known, self.outside.foreign)
        if not isinstance(adoption, Adoption):
            return adoption
        chain, now_ms = self.reported.chain, self.reported.now_ms
        try:
            ledger.adopt(self.meter_id, chain, adoption, now_ms, interim_ms=self._interim_ms)
        except NotWholeError as error:
            return Stalled(Reason.ADOPT_HEAD_REFUSED, str(error))
        return None


def _adoption(
    ledger: Ledger,
    reported: ReportedChain,
    head: str,
    known: Histories,
    foreign: Mapping[str, str],
) -> Adoption | UsageError:
    """Return the history that an administrator consents to; an error: why it is not followed."""
    elsewhere = ledger.report_with(head)
    name = foreign.get(head)
    if head not in known.envelopes and (elsewhere is not None or name is not None):
        what = f"UsageReport {name}" if elsewhere is None else f"report {elsewhere.jti}"
        return Stalled(
            Reason.ADOPT_HEAD_FOREIGN, f"{what} is not of chain {reported.chain.id}, which stopped"
        )
    try:
        return adopted(
            known,
            head,
            license_=reported.license,
            keys=reported.keys,
            now_s=reported.now_ms // 1000,
        )
    except Refused as refused:
        return Stalled(Reason.ADOPT_HEAD_REFUSED, refused.message)
    except Stalled as refused:
        return refused
