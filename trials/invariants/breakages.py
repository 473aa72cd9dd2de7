"""Which line holds an invariant, what it would be if it were wrong, and which tests must notice.

The numbers are those of ``docs/architecture.md``. One entry per way to break a rule that is easy to
break by mistake; ``trials.mutation`` breaks every line of the number besides.
"""

from dataclasses import dataclass

BOUNDS = "1. lower <= truth <= upper; Exact only where they are provably equal"
NO_GUESS = "2. nothing partial, empty or unreadable is ever taken for a count"
ONE_REPORT = "3. one report per position, its bytes never change, resending is harmless"
NOT_DROPPED = "4. a final report is delivered or visibly pending, never dropped"
STAYS = "6. a counted user stays counted until the cycle's end"
CRASH = "8. a kill at any instruction loses no committed fact and repeats no effect"
OWN_PODS = "10. nothing is sent to an address that is not a living pod's, or named by an admin"
FAIR = "12. no product and no tenant stops the count of another"
SAID = "11. a defect is never silent, and what was begun of its object ends all the same"
JUDGED = "13. a report is judged by the licence that it names; an unknown one is a finding"
OWN_SECRETS = "10. no Secret is sent that was not made to be sent, and no request but a question"

_PRODUCT = "operator/licenseusage/"


@dataclass(frozen=True, slots=True)
class Breakage:
    """One way to break an invariant.

    Attributes:
        invariant: Which one.
        how: What the broken program does wrong, in words.
        path: The file, relative to ``operator/licenseusage/``.
        right: A piece of it that occurs exactly once.
        wrong: What it is replaced by.
        tests: Files, or single tests, that must fail then; relative to ``tests/``.
    """

    invariant: str
    how: str
    path: str
    right: str
    wrong: str
    tests: tuple[str, ...]

    @property
    def file(self) -> str:
        """The file, relative to the repository's root."""
        return _PRODUCT + self.path


BREAKAGES = (
    Breakage(
        BOUNDS,
        "a poll closes a window before everything of it must be visible",
        "metering/facts.py",
        "cycle.ended_by(began - properties.lag_ms)",
        "cycle.ended_by(began)",
        ("metering/test_claims.py",),
    ),
    Breakage(
        BOUNDS,
        "a poll's end counts as its start",
        "metering/facts.py",
        "ended = cycle.ended_by(began",
        "ended = cycle.ended_by(read",
        ("metering/test_claims.py", "metering/test_oracle.py"),
    ),
    Breakage(
        BOUNDS,
        "activity that a throttled stamp hides is taken for ruled out",
        "metering/facts.py",
        "if closed and widest + hidden >= start:",
        "if closed and widest >= start:",
        ("metering/test_claims.py",),
    ),
    Breakage(
        BOUNDS,
        "facts of a poll that has closed nothing widen the upper bound of one that has",
        "metering/facts.py",
        "return (a & b) | (a & ~b_closed) | (b & ~a_closed)",
        "return a | b",
        ("metering/test_merge.py",),
    ),
    Breakage(
        BOUNDS,
        "an upper bound is stated while the cycle still runs",
        "metering/bounds.py",
        "return Bounds(self.lower, None, self.estimate, self.conflict)",
        "return self",
        ("metering/test_bounds.py", "metering/test_statement.py"),
    ),
    Breakage(
        BOUNDS,
        "an amendment widens what was stated",
        "ledger/documents/amending.py",
        "    if not narrows(stated.bounds, statement.bounds):\n        return None\n",
        "",
        ("ledger/test_amending.py",),
    ),
    Breakage(
        BOUNDS,
        "evidence against a final is taken for an amendment",
        "metering/amendment.py",
        "if conflict or new_low > high or new_high < low:",
        "if conflict:",
        ("metering/test_amendment.py",),
    ),
    Breakage(
        BOUNDS,
        "a new definition counts people for the time before it",
        "metering/accrual.py",
        "return Facts(ended=facts.ended)",
        "pass",
        ("metering/test_accrual.py", "ledger/test_rosters.py"),
    ),
    Breakage(
        BOUNDS,
        "a poll by a new definition is about the time before it as well",
        "metering/definitions.py",
        "return since_ms if cycle.start_ms < since_ms < cycle.end_ms else None",
        "return None",
        ("metering/test_definitions.py",),
    ),
    Breakage(
        BOUNDS,
        "a cycle that was decided on takes evidence made by other rules",
        "metering/definitions.py",
        "return not differ(decided_by, found_by)",
        "return True",
        ("metering/test_definitions.py", "ledger/test_amending.py"),
    ),
    Breakage(
        NO_GUESS,
        "an incomplete listing proves that the others were not active",
        "metering/facts.py",
        "began - properties.lag_ms) if complete else 0",
        "began - properties.lag_ms)",
        ("metering/test_claims.py",),
    ),
    Breakage(
        NO_GUESS,
        "a listing that moved between its pages is taken for complete",
        "sources/lists/collect.py",
        "complete=error is None and unproved is None,",
        "complete=error is None,",
        ("sources/test_pagination.py",),
    ),
    Breakage(
        NO_GUESS,
        "nothing known is stated as 0",
        "metering/bounds.py",
        "return Accuracy.UNKNOWN if self.estimate is None else Accuracy.ESTIMATE",
        "return Accuracy.LOWER_BOUND",
        ("metering/test_bounds.py",),
    ),
    Breakage(
        NO_GUESS,
        "a list in which a row hides somebody is taken for complete",
        "sources/lists/doubts.py",
        "    if different >= rows:\n        return None",
        "    if True:\n        return None",
        ("sources/test_doubts.py", "sources/test_lying_products.py"),
    ),
    Breakage(
        NO_GUESS,
        "a list that says that more follows is taken for complete",
        "sources/lists/doubts.py",
        "if extent.more is not None:",
        "if extent.more is not None and rows == 0:",
        ("sources/test_doubts.py", "sources/test_lying_products.py"),
    ),
    Breakage(
        NO_GUESS,
        "a list that is shorter than the total beside it is taken for complete",
        "sources/lists/doubts.py",
        "extent.total.users > rows:",
        "extent.total.users > 2 * rows:",
        ("sources/test_doubts.py", "sources/test_lying_products.py"),
    ),
    Breakage(
        NO_GUESS,
        "a time that means never is taken for an activity of long ago",
        "sources/lists/plausible.py",
        "columns.stamps, self._never.cleaned(columns.stamps)",
        "columns.stamps, list(columns.stamps)",
        ("sources/test_never.py", "sources/test_lying_products.py"),
    ),
    Breakage(
        BOUNDS,
        "a list that lost users still proves that nobody else was active",
        "metering/refuting.py",
        "if properties.removal is Removal.NEVER and not properties.log and seen.lost:",
        "if properties.removal is Removal.NEVER and not properties.log and seen.lost > 99:",
        ("ledger/test_refutations.py",),
    ),
    Breakage(
        BOUNDS,
        "days that are written as instants are taken for instants",
        "sources/lists/steps.py",
        "not self._of_day or self.times < LEAST_TIMES:",
        "not self._of_day or self.times >= LEAST_TIMES:",
        ("sources/test_steps.py", "sources/test_lying_products.py"),
    ),
    Breakage(
        BOUNDS,
        "somebody whose activity was taken back still counts",
        "ledger/facts/counting.py",
        "part = part.where(not_(doubtful(store.doubt, facts.c.pseudonym)))",
        "pass",
        ("ledger/test_rosters.py",),
    ),
    Breakage(
        BOUNDS,
        "what was refuted carries again in the next cycle",
        "metering/stores.py",
        "properties = believed(declared.properties, against)",
        "properties = declared.properties",
        ("metering/test_stores.py", "ledger/test_refutations.py"),
    ),
    Breakage(
        BOUNDS,
        "an interim counts whom a poll named after the time that it states",
        "controller/steps/closing.py",
        "    def made(ledger: Ledger) -> int | None:\n",
        "    states = await books.do(lambda ledger: ledger.store_states(meter_id, cycle))\n\n"
        "    def made(ledger: Ledger) -> int | None:\n"
        "        ledger.store_states = lambda *_: states\n",
        ("controller/test_closing.py",),
    ),
    Breakage(
        STAYS,
        "a poll that is committed while a cycle is decided on is missing from its final",
        "controller/steps/closing.py",
        "    return await books.do(decide)\n",
        "    before = await books.do(stated)\n    stated = lambda _: before\n"
        "    return await books.do(decide)\n",
        ("controller/test_closing.py",),
    ),
    Breakage(
        STAYS,
        "a user who moved into an excluded group is missing from the list",
        "metering/roster.py",
        "return changed(people, {*listed.aside, *listed.quiet}, set())",
        "return people",
        ("metering/test_roster.py", "months/test_months.py"),
    ),
    Breakage(
        BOUNDS,
        "only the last hour before a cycle begins its roster",
        "metering/lifecycle.py",
        "if not 0 < left_ms <= max(gap_ms, HOUR_MS, 2 * interval_ms):",
        "if not 0 < left_ms <= max(HOUR_MS, 2 * interval_ms):",
        ("metering/test_lifecycle.py", "months/test_months.py"),
    ),
    Breakage(
        BOUNDS,
        "a server's own account is counted as a person",
        "sources/definition/presets/OpenCloudEvents.yaml",
        "      || (Executant != `null` && !contains(`[1, 5, 7]`, Executant.type))\n",
        "",
        ("sources/test_opencloud_events.py",),
    ),
    Breakage(
        BOUNDS,
        "a replica whose clock is wrong is gone around, although its times are in every list",
        "sources/replicas.py",
        "        Reason.UNREACHABLE,",
        "        Reason.UNREACHABLE, Reason.CLOCK_SKEW_TOO_LARGE,",
        ("sources/test_replicas.py",),
    ),
    Breakage(
        ONE_REPORT,
        "a cycle that is Final is closed and signed again",
        "ledger/documents/closing.py",
        "if record.state is CycleState.FINAL:",
        "if False:",
        ("ledger/test_closing.py",),
    ),
    Breakage(
        ONE_REPORT,
        "a slot of interims is reported twice",
        "ledger/documents/closing.py",
        "made = row.interim_slot is not None and row.interim_slot >= slot",
        "made = False",
        ("ledger/test_closing.py",),
    ),
    Breakage(
        ONE_REPORT,
        "an amendment is stated without its report",
        "ledger/documents/amending.py",
        "    if reports and _sign(connection, row, reports,",
        "    if reports and signing and _sign(connection, row, reports,",
        ("ledger/test_amending.py",),
    ),
    Breakage(
        ONE_REPORT,
        "an amendment supersedes a report that the vendor has refused",
        "ledger/documents/amending.py",
        "(item for item in reports if not item.refused)",
        "(item for item in reports)",
        ("ledger/test_amending.py",),
    ),
    Breakage(
        ONE_REPORT,
        "the receiver takes the same bytes twice",
        "receiver/intake.py",
        "known = writing.document(authentic.envelope.digest)",
        "known = None",
        ("receiver/test_faults.py", "receiver/test_protocol.py"),
    ),
    Breakage(
        ONE_REPORT,
        "of two reports at one position an auditor is shown one",
        "cli/wholeness.py",
        'need(len(documents) == 1, Reason.REPORT_CONFLICT, f"sequence {at}: {names}")',
        "pass",
        ("cli/test_report.py",),
    ),
    Breakage(
        ONE_REPORT,
        "a report that is missing is passed over although all are asked for",
        "cli/wholeness.py",
        "need(not missing or not complete, Reason.CHAIN_GAP, words)",
        "pass",
        ("cli/test_report.py", "cli/test_vectors.py"),
    ),
    Breakage(
        ONE_REPORT,
        "a vendor's receipt for a report that is not here says nothing about the chain",
        "cli/wholeness.py",
        "return [*(receipt.subject.link for receipt in accepted), *heads]",
        "return []",
        ("cli/test_report.py", "cli/test_vectors.py"),
    ),
    Breakage(
        NOT_DROPPED,
        "what was being sent when the operator ended is never sent again",
        "ledger/documents/outbox.py",
        ".values(state=Delivery.PENDING, lease_until_ms=None)",
        ".values(state=Delivery.SENDING, lease_until_ms=None)",
        ("ledger/test_outbox.py",),
    ),
    Breakage(
        NOT_DROPPED,
        "a cycle is reported under the newest contract, whichever it began under",
        "ledger/records.py",
        "return self.licenses[grid.subscription]",
        "return self.license_token",
        ("ledger/test_terms.py",),
    ),
    Breakage(
        NOT_DROPPED,
        "another contract takes over the running cycle",
        "metering/cycles.py",
        "if subscription is None or begun[-1].subscription == subscription:",
        "if begun:",
        ("metering/test_cycles.py", "ledger/test_terms.py"),
    ),
    Breakage(
        NOT_DROPPED,
        "any answer with status 200 ends the sending",
        "delivery/outcome.py",
        "reason if temporary else Reason.UNEXPECTED_RESPONSE",
        "reason",
        ("delivery/test_outcome.py",),
    ),
    Breakage(
        NOT_DROPPED,
        "a final that waits is not shown",
        "controller/rules/reported.py",
        "if not waiting_final and (not seen.reports or _accepted(seen)):",
        "if not seen.reports or _accepted(seen):",
        ("controller/test_reported.py",),
    ),
    Breakage(
        STAYS,
        "a later poll decides alone who was active",
        "ledger/facts/users.py",
        "joined = sure | now_sure",
        "joined = now_sure",
        ("ledger/test_polls.py",),
    ),
    Breakage(
        STAYS,
        "of two sets of facts only one user's activity survives the join",
        "metering/facts.py",
        "        sure[user] = sure.get(user, 0) | bits\n    maybe: dict",
        "        sure[user] = bits\n    maybe: dict",
        ("metering/test_merge.py",),
    ),
    Breakage(
        CRASH,
        "the decision to close is made anew after a crash, from later facts",
        "ledger/documents/closing.py",
        "    if intent is not None:\n        return intent\n",
        "",
        ("ledger/test_closing.py",),
    ),
    Breakage(
        CRASH,
        "each statement is durable by itself, so that a crash keeps half a step",
        "ledger/storage/database.py",
        'connection.exec_driver_sql("BEGIN IMMEDIATE")',
        'connection.exec_driver_sql("SELECT 1")',
        ("ledger/test_transactions.py",),
    ),
    Breakage(
        CRASH,
        "what is committed may be lost when the power fails",
        "ledger/storage/database.py",
        '"synchronous = FULL",',
        '"synchronous = OFF",',
        ("ledger/test_opening.py",),
    ),
    Breakage(
        OWN_PODS,
        "credentials go to the address that a pod had before it ended",
        "controller/effects/pods.py",
        "lives = pod.status.phase not in _ENDED and",
        "lives =",
        ("controller/test_pods.py",),
    ),
    Breakage(
        OWN_PODS,
        "of two containers with one port name another one is asked than by a Service",
        "controller/effects/pods.py",
        "names.setdefault(port.name, port.container_port)",
        "names[port.name] = port.container_port",
        ("controller/test_pods.py",),
    ),
    Breakage(
        OWN_PODS,
        "the port of an init container that has ended is asked",
        "controller/effects/pods.py",
        '        if container.restart_policy == "Always"\n',
        "",
        ("controller/test_pods.py",),
    ),
    Breakage(
        FAIR,
        "one namespace may have every worker",
        "controller/effects/turns.py",
        "        if taken >= spare:",
        "        if taken >= self.size:",
        ("controller/test_turns.py",),
    ),
    Breakage(
        FAIR,
        "what hangs in many namespaces takes the last worker",
        "controller/effects/turns.py",
        " and len(self.slow) < spare",
        "",
        ("controller/test_turns.py",),
    ),
    Breakage(
        FAIR,
        "workers go to who asked first, and a namespace with many sources has them all",
        "controller/effects/turns.py",
        "key=lambda asking: self._turns.get(asking.key.namespace, 0)",
        "key=lambda asking: 0",
        ("controller/test_turns.py",),
    ),
    Breakage(
        FAIR,
        "a poll that hung for longer than its interval is due again at once",
        "metering/lifecycle.py",
        "ended + PAUSE_FACTOR * schedule.took_ms",
        "ended",
        ("metering/test_lifecycle.py",),
    ),
    Breakage(
        SAID,
        "an unforeseen exception leaves the object as it was",
        "controller/steps/reconcile.py",
        '        problem = _defect(world, key, error, "it counted")\n',
        "        raise\n",
        ("controller/test_defects.py",),
    ),
    Breakage(
        SAID,
        "an object that cannot be acted on is not closed, reported or delivered",
        "controller/steps/reconcile.py",
        "    if problem.consequence is Consequence.NEEDS_A_PERSON or problem.ours:\n",
        "    if problem.consequence is Consequence.WAITS:\n",
        ("controller/test_defects.py",),
    ),
    Breakage(
        SAID,
        "a poll that meets a defect counts as no attempt, so that its cycle never closes",
        "controller/effects/collection.py",
        "            with suppress(UsageError):  # the ledger's own trouble",
        "            with suppress(BaseException), 1 / 0:  # the ledger's own trouble",
        ("controller/test_defects.py",),
    ),
    Breakage(
        OWN_PODS,
        "pods and Secrets are read when a poll begins to wait for a worker",
        "controller/effects/collection.py",
        "            async with self._turns.place(job.key, quick=job.quick):\n"
        "                job = self._waiting.pop(name)\n"
        "                news = await self._poll(job, await self._ready(job))\n",
        "            ready = await self._ready(job)\n"
        "            async with self._turns.place(job.key, quick=job.quick):\n"
        "                job = self._waiting.pop(name)\n"
        "                news = await self._poll(job, ready)\n",
        ("controller/test_collection.py",),
    ),
    Breakage(
        OWN_PODS,
        "a poll that lasts believes in the pods that it began with",
        "sources/whereabouts.py",
        "self._monotonic() - self._looked_at < self._seconds",
        "True",
        ("sources/test_whereabouts.py",),
    ),
    Breakage(
        OWN_PODS,
        "a page is asked of the address of a pod that is gone",
        "sources/lists/fetch.py",
        "        self._whereabouts.confirm(self._target)\n",
        "",
        ("sources/test_whereabouts.py",),
    ),
    Breakage(
        OWN_SECRETS,
        "any Secret of the namespace is sent to the product",
        "controller/effects/reaching.py",
        "await self.reader.credentials(namespace, name, _loop_s())",
        "await self.reader.read(SECRETS, namespace, name, _loop_s())",
        ("controller/test_secrets.py",),
    ),
    Breakage(
        OWN_SECRETS,
        "a label permits it whatever it says",
        "controller/effects/secrets.py",
        'labels.get(CREDENTIALS) == "true"',
        "CREDENTIALS in labels",
        ("controller/test_secrets.py",),
    ),
    Breakage(
        OWN_SECRETS,
        "an object that a tenant writes may POST",
        "sources/definition/effective.py",
        "    if given is None or posted:",
        "    if given is None or not posted:",
        ("sources/test_presets.py",),
    ),
    Breakage(
        OWN_PODS,
        "a Secret that was taken back is sent for as long as it is remembered",
        "controller/effects/reaching.py",
        "        self.reader.forget(namespace)\n",
        "",
        (
            "controller/test_reaching.py::test_a_poll_takes_the_secret_of_now_and_not_one_that_is_remembered",
        ),
    ),
    Breakage(
        NO_GUESS,
        "an id that is no text is taken for a person",
        "sources/lists/decoder.py",
        "        columns.ids = [None if is_broken(shown) else shown for shown in columns.ids]\n",
        "",
        ("sources/test_as_written.py",),
    ),
    Breakage(
        BOUNDS,
        "people whose id is no text are ruled out",
        "sources/lists/completeness.py",
        "doubts.unreadable(source, tally.unreadable, tally.listed)",
        "doubts.unreadable(source, 0, tally.listed)",
        ("sources/test_as_written.py",),
    ),
    Breakage(
        BOUNDS,
        "a user may hide behind an id that stands twice in a row",
        "sources/lists/decoder.py",
        "repeated_member(data, self._read) or self.rows_search.twice",
        "repeated_member(data, self._read)",
        ("sources/test_doubts.py",),
    ),
    Breakage(
        BOUNDS,
        "a time without seconds is taken for the full minute",
        "sources/definition/spelling.py",
        'second, unsure = "00", MINUTE_MS - 1',
        'second, unsure = "00", 0',
        ("sources/test_timestamps.py",),
    ),
    Breakage(
        BOUNDS,
        "an activity in the minute of the creation counts",
        "sources/lists/tally.py",
        "if not (span_ms or made.unsure_ms):",
        "if not span_ms or made:",
        ("sources/test_as_written.py",),
    ),
    Breakage(
        JUDGED,
        "a report is judged by the licence that its installation enrolled with",
        "receiver/intake.py",
        'terms = register.named(str(claims.get("licenseId")))',
        "terms = authentic.installation.terms",
        ("receiver/test_register.py",),
    ),
    Breakage(
        JUDGED,
        "silence under an unknown licence is held against the one of the enrolment",
        "receiver/inforce.py",
        "under = self.enrolled if reported_under is None else self.named(reported_under)",
        'under = self.named(reported_under or "") or self.enrolled',
        ("receiver/test_register.py",),
    ),
    Breakage(
        JUDGED,
        "an enrolment that arrives late is judged at the time of its arrival",
        "reports/enrolment.py",
        'now_s=min(claims["iat"], now_s),',
        "now_s=now_s,",
        ("reports/test_vectors.py",),
    ),
    Breakage(
        NOT_DROPPED,
        "reports wait for a licence that the vendor does not take",
        "delivery/sender.py",
        "            if isinstance(answer, NoAnswer):\n                break\n",
        "            if isinstance(answer, NoAnswer):\n"
        "                raise TimeoutError(answer.cause)\n",
        ("delivery/test_licences.py",),
    ),
)
