"""What an administrator does between two lives: with keys, exports, approvals and backups.

Everything by the ways that are documented: the Secret, the spec, ``licenseusage report export``,
the vendor's ``POST /v1/bundles``, ``kubectl apply``, ``ledger backup``, ``restore`` and ``merge``.
"""

import base64
import json
import shutil
import ssl
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import httpx

from hack.controlplane import ControlPlane
from licenseusage.controller.rules.approval import APPROVED
from licenseusage.controller.rules.keysecrets import NEXT_KEY, ROTATE
from licenseusage.ledger.upkeep.merging import merge_ledgers
from licenseusage.ledger.upkeep.snapshot import backup, restore
from licenseusage.reports.names import digest
from trials.consent import proposed_head
from trials.kills import aftermath, stage
from trials.kills.checkout import environment
from trials.kills.journal import Committed
from trials.kills.occasions import Deed
from trials.kills.stage import Subject
from trials.kills.vendor import Vendor

_IDENTITY: Final = "licenseusage-identity"
_TIMEOUT_SECONDS: Final = 300.0


class Administrator:
    """Does what a plan wants, where it is possible then.

    Attributes:
        done: Deed -> how often it was done.
        exported: Objects whose reports are exported now.
    """

    def __init__(
        self,
        cp: ControlPlane,
        vendor: Vendor,
        subjects: Sequence[Subject],
        ledger: Path,
        committed: Committed,
    ) -> None:
        """Work on these; nothing is done yet."""
        self._cp, self._vendor, self._subjects = cp, vendor, subjects
        self._ledger, self._committed = ledger, committed
        self._backups: list[Path] = []
        self._replaced: list[Path] = []
        self.exported: set[str] = set()
        self._held: set[str] = set()
        self._heads: dict[str, str] = {}
        self.done: Counter[Deed] = Counter()

    def do(self, deed: Deed, now_s: float, operator: Mapping[str, str]) -> None:
        """Do a deed, if there is an occasion for it.

        Args:
            deed: What.
            now_s: The clock's time.
            operator: The operator's environment, its clock included.
        """
        if not self._ledger.exists() or not self._all_counted():
            return
        self.done[deed] += self._did(deed, now_s, operator)

    def _did(self, deed: Deed, now_s: float, operator: Mapping[str, str]) -> bool:
        match deed:
            case Deed.ROTATE:
                return self._rotate()
            case Deed.EXPORT | Deed.SEND:
                return self._route(exported=deed is Deed.EXPORT)
            case Deed.CARRY:
                return self._carry(operator)
            case Deed.HOLD | Deed.LET_GO:
                return self._hold(wanted=deed is Deed.HOLD)
            case Deed.APPROVE:
                return self._approve()
            case Deed.BACK_UP:
                return self._back_up()
            case Deed.RESTORE:
                return self._restore(round(1000 * now_s))
            case Deed.FORFEIT:
                return self._forfeit(round(1000 * now_s))
            case Deed.LOSE:
                return self._lose()

    def decide(self) -> bool:
        """Name the heads that conditions propose, as somebody does who looks at them."""
        named = False
        for usage in stage.objects(self._cp, "licenseusages"):
            name, head = usage["metadata"]["name"], proposed_head(usage.get("status") or {})
            if head is not None and self._heads.get(name) != head:
                wish = {"spec": {"reporting": {"adoptHead": head}}}
                self._kubectl("patch", "lu", name, "--type=merge", "-p", json.dumps(wish))
                self._heads[name], named = head, True
        return named

    def mend(self, now_s: float) -> None:
        """Merge replaced ledgers, if a chain is stopped because objects do not complete it."""
        if self._replaced and aftermath.stopped(self._ledger):
            for replaced in self._replaced:
                merge_ledgers(replaced, self._ledger, now_ms=round(1000 * now_s))
            self._replaced = []

    def usage(self, subject: Subject) -> dict[str, object]:
        """Return an object as it is wanted now."""
        mode = "Export" if subject.name in self.exported else "Online"
        approval = "Manual" if subject.name in self._held else "Automatic"
        return stage.usage(subject, mode=mode, approval=approval)

    def usages(self) -> list[dict[str, object]]:
        """Return every object as it is wanted at the end: its reports are sent."""
        self.exported.clear()
        self._held.clear()
        return [stage.usage(subject) for subject in self._subjects]

    def _all_counted(self) -> bool:
        """Whether every object has a report, so that a backup knows them all."""
        return aftermath.reporting(self._ledger) == len(self._subjects)

    def _rotate(self) -> bool:
        secret = json.loads(self._kubectl("get", "secret", _IDENTITY, "-o", "json"))
        if {ROTATE, NEXT_KEY} & secret["data"].keys():
            return False  # one is under way
        wish = {"data": {ROTATE: base64.b64encode(b"Scheduled").decode()}}
        self._kubectl("patch", "secret", _IDENTITY, "--type=merge", "-p", json.dumps(wish))
        return True

    def _route(self, *, exported: bool) -> bool:
        """Export the last object's reports from now on, or send them again."""
        return self._switch(self._subjects[-1], self.exported, on=exported)

    def _switch(self, subject: Subject, among: set[str], *, on: bool) -> bool:
        if (subject.name in among) is on:
            return False
        among ^= {subject.name}
        self._cp.apply(self.usage(subject))
        return True

    def _carry(self, operator: Mapping[str, str]) -> bool:
        """Carry what waits, twice, and apply the receipts."""
        (name,) = self.exported or {""}
        if not name:
            return False
        data = self._export(name, operator)
        if not data:
            return False
        context = ssl.create_default_context(cafile=str(self._vendor.ca))
        with httpx.Client(verify=context, timeout=_TIMEOUT_SECONDS) as client:
            for _ in range(2):
                answer = client.post(
                    f"{self._vendor.endpoint}/v1/bundles?format=yaml",
                    content=data,
                    headers={"content-type": "text/plain; charset=us-ascii"},
                )
                answer.raise_for_status()
        if "UsageReceipt" not in answer.text:
            return False
        self._cp.apply(answer.text)
        return True

    def _export(self, name: str, operator: Mapping[str, str]) -> bytes:
        program = "from licenseusage.cli import main; main()"
        done = subprocess.run(
            [sys.executable, "-c", program, "report", "export", name, "-o", "-"],
            env={**environment(), **operator},
            capture_output=True,
            check=False,
            timeout=_TIMEOUT_SECONDS,
        )
        if done.returncode != 0:
            raise RuntimeError(
                f"report export ended with {done.returncode}: {done.stderr[-800:]!r}"
            )
        return done.stdout

    def _hold(self, *, wanted: bool) -> bool:
        """Have the reports of an object on line wait for approval from now on, or no longer."""
        return self._switch(self._subjects[-2], self._held, on=wanted)

    def _approve(self) -> bool:
        waiting = [
            report
            for report in stage.objects(self._cp, "usagereports")
            if report.get("status", {}).get("delivery") == "AwaitingApproval"
        ]
        for report in waiting:
            given = f"{APPROVED}={digest(report['spec']['token'])}"
            self._kubectl("annotate", "--overwrite", "ur", report["metadata"]["name"], given)
        return bool(waiting)

    def _back_up(self) -> bool:
        target = self._ledger.with_name(f"backup-{self.done.total()}.sqlite")
        backup(self._ledger, target)
        self._backups.append(target)
        return True

    def _restore(self, now_ms: int) -> bool:
        if not self._backups:
            return False
        self._remember()
        self._committed.forget_unsigned(aftermath.signed_finals(self._ledger))
        left = aftermath.reports(self._backups[-1])
        self._committed.replaced |= aftermath.reports(self._ledger) - left
        if self.done[Deed.RESTORE] % 2 and self._newest_are_shown():
            self._roll_back()
            return True
        done = restore(self._backups[-1], self._ledger, now_ms=now_ms)
        if done.aside is not None:
            self._replaced.append(done.aside)
        return True

    def _forfeit(self, now_ms: int) -> bool:
        """Restore a backup; the former ledger is lost, and so is what waits since then.

        Of what waits, the newest object of each LicenseUsage is left, if it has several.
        """
        if not self._backups:
            return False
        lost = (self._ledger, *self._replaced, *self._backups[:-1])
        waits = _reports(lost) - aftermath.reports(self._backups[-1]) - self._at_vendor()
        if not waits:
            return False
        self._remember()
        shown = self._shown()
        last = {report["spec"]["usageName"]: name for name, report in sorted(shown.items())}
        only = Counter(
            r["spec"]["usageName"] for r in shown.values() if r["spec"]["token"] in waits
        )
        for name, report in list(shown.items()):
            usage = report["spec"]["usageName"]
            kept = last[usage] == name and only[usage] > 1
            if report["spec"]["token"] in waits and not kept:
                self._kubectl("delete", "ur", name)
                del shown[name]
        self._give_up(waits, lost)
        done = restore(self._backups[-1], self._ledger, now_ms=now_ms)
        if done.aside is not None:
            done.aside.rename(done.aside.with_suffix(".lost"))
        self._backups, self._replaced = self._backups[-1:], []
        return True

    def _lose(self) -> bool:
        """Lose the ledger with everything that is kept beside it."""
        self._remember()
        lost = (self._ledger, *self._replaced, *self._backups)
        self._give_up(_reports(lost) - self._at_vendor(), lost)
        self._put_away("lost")
        self._backups, self._replaced = [], []
        return True

    def _give_up(self, tokens: set[str], lost: Sequence[Path]) -> None:
        """Have nobody ask any more for what is lost for good.

        Args:
            tokens: Reports that neither the vendor nor what is left of the ledgers holds.
            lost: The ledgers, those that restores had replaced too: nobody can merge them any more.
        """
        shown = {report["spec"]["token"] for report in self._shown().values()}
        finals = {item for path in lost for item in aftermath.signed_finals(path).items()}
        stand = {cycle for cycle, token in finals if token not in tokens}
        unsure = {cycle for cycle, token in finals if token in tokens} - stand
        self._committed.forget_unsigned(stand)
        self._committed.give_up({token: token in shown for token in tokens}, unsure)

    def _remember(self) -> None:
        """Keep what persons have consented to: the ledger that says so is lost or replaced."""
        self._committed.adopted |= aftermath.adopted(self._ledger)
        self._committed.set_aside |= aftermath.set_aside(self._ledger)

    def _at_vendor(self) -> set[str]:
        return {stored.token for stored in self._vendor.stored()}

    def _shown(self) -> dict[str, dict[str, Any]]:
        """Return the UsageReports by name."""
        reports = stage.objects(self._cp, "usagereports")
        return {report["metadata"]["name"]: report for report in reports}

    def _newest_are_shown(self) -> bool:
        """Whether objects prove what a volume that is rolled back says nothing of.

        What an earlier restore has noted is rolled back, too: its ledger counts as well.
        """
        shown = {report["spec"]["token"] for report in stage.objects(self._cp, "usagereports")}
        return all(aftermath.heads(path) <= shown for path in (self._ledger, *self._replaced))

    def _roll_back(self) -> None:
        """Put a backup in the ledger's place as a volume's snapshot would: no command notes it."""
        aside = self._put_away("rolled-back")
        shutil.copyfile(self._backups[-1], self._ledger)
        self._replaced.append(aside)

    def _put_away(self, why: str) -> Path:
        """Give the ledger another name, under which a person finds it who explains a failure."""
        aside = self._ledger.with_name(f"{why}-{self.done.total()}.sqlite")
        for suffix in ("", "-wal", "-shm"):
            file = self._ledger.with_name(self._ledger.name + suffix)
            if file.exists():
                file.rename(aside.with_name(aside.name + suffix))
        return aside

    def _kubectl(self, *arguments: str) -> str:
        return self._cp.kubectl(*arguments, "-n", stage.NAMESPACE).stdout


def _reports(ledgers: Sequence[Path]) -> set[str]:
    return {token for path in ledgers for token in aftermath.reports(path)}
