"""The ledger's methods for documents: cycles closed and amended, chains, the outbox."""

from licenseusage.ledger.documents import (
    adopting,
    amending,
    chains,
    closing,
    gathering,
    importing,
    issued,
    outbox,
    recovering,
    waiting,
)
from licenseusage.ledger.storage.transactions import Transactions, reads, writes
from licenseusage.reports.names import Link


class DocumentMethods(Transactions):
    """Methods of the ledger about signed documents; each is documented at its function."""

    begin_close = writes(closing.begin_close)
    mark_closing = writes(closing.mark_closing)
    close_cycle = writes(closing.close_cycle)
    replace_final = writes(closing.replace_final)
    add_interim = writes(closing.add_interim)

    amend_cycle = writes(amending.amend_cycle)
    replace_amendment = writes(amending.replace_amendment)
    contradict = writes(amending.contradict)

    take_over = writes(recovering.take_over)
    begin_anew = writes(recovering.begin_anew)
    adopt = writes(adopting.adopt)

    add_key_statement = writes(outbox.add_key_statement)
    restart_outbox = writes(outbox.restart)
    claim = writes(outbox.claim)
    record_result = writes(outbox.record_result)
    record_receipt = writes(importing.record_receipt)
    resend = writes(outbox.resend)
    wait_for_export = writes(waiting.wait_for_export)
    follow_approvals = writes(waiting.follow_approvals)
    resend_key_statements = writes(outbox.resend_key_statements)
    record_clock_step = writes(outbox.record_clock_step)
    route = reads(outbox.route_of)

    facts_of = reads(gathering.facts_of)
    interims_signed_ms = reads(closing.interims_signed_ms)
    reports = reads(issued.reports_of)
    key_statements = reads(issued.documents_of)
    all_key_statements = reads(issued.all_key_statements)
    document = reads(issued.find)
    report_with = reads(issued.with_digest)
    chain = reads(chains.chain_state)
    set_aside = reads(chains.set_aside_of)

    def resend_if_rerouted(self, meter_id: int, route: str, now_ms: int) -> int:
        """Make all undelivered documents of a meter due if the route of delivery has changed.

        The route is kept, so that a change by a restart (settings, an upgrade) counts too; the
        first route of a meter changes nothing (REPORT_FORMAT §10). The same route as before writes
        nothing.

        Args:
            meter_id: The meter.
            route: Digest of licence, keys, the vendor's address and the operator's version; at most
                64 characters.
            now_ms: The time.

        Returns:
            How many documents became due.
        """
        if self.route(meter_id) == route:
            return 0
        with self._write(now_ms) as connection:
            return outbox.reroute(connection, meter_id, route, now_ms)

    def stop_chain(
        self,
        chain_id: str,
        reason: str,
        now_ms: int,
        *,
        key_chain_id: str | None = None,
        lost: Link | None = None,
    ) -> None:
        """Sign and send nothing more of a chain until a person decides (REPORT_FORMAT §11).

        A chain that is stopped already keeps its reason; what is known already is not written.

        Args:
            chain_id: The chain; it need not be known.
            reason: `HISTORY_LOST` or `FORKED`.
            now_ms: The time.
            key_chain_id: For reports, the chain of the key statements; for those, None.
            lost: A document that exists and that this ledger does not hold, if it is known.
        """
        state = self.chain(chain_id)
        if state.stopped is None or (lost is not None and lost not in state.lost):
            with self._write(now_ms) as connection:
                chains.stop_chain(connection, chain_id, key_chain_id, reason, lost, now_ms)
