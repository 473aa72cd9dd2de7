"""The whole way of one installation, as an administrator and a vendor go it."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from hack.e2e.claim import OPERATOR, PRODUCT, RECEIVER
from hack.e2e.commands import Commands
from hack.e2e.errors import Failed
from hack.e2e.installation import OPERATOR_DEPLOYMENT, USAGE, Release, Way, product
from hack.e2e.outcome import Outcome
from hack.e2e.plan import Plan
from hack.e2e.product import DEPLOYMENT, Product
from hack.e2e.reports import Reports
from hack.e2e.vendor import Vendor
from hack.e2e.waiting import available, condition, until

_KEPT: Final = (
    ("persistentvolumeclaim", "licenseusage-ledger"),
    ("secret", "licenseusage-identity"),
    ("secret", "licenseusage-pseudonym"),
)
_FIRST_LINE: Final = "a passphrase of no secret"


@dataclass(slots=True)
class Story:
    """One run of one way.

    Attributes:
        way: How operator and receiver are installed.
        commands: Reach the cluster.
        before: The release that is installed first.
        after: The one it is upgraded to; the same image, if there is no other.
        vendor: The vendor's side.
        people: The sample product.
        plan: The terms.
        folder: For files of the run.
        outcome: Where steps are noted.
        reports: What was reported.
        asked: How often the operator was asked to look and send at once.
    """

    way: Way
    commands: Commands
    before: Release
    after: Release
    vendor: Vendor
    people: Product
    plan: Plan
    folder: Path
    outcome: Outcome
    reports: Reports
    asked: int = 0

    def play(self) -> None:
        """Go the whole way; what it made is removed by the caller.

        Raises:
            Failed: A step did not do what is promised.
        """
        self._step("install the receiver", self._install_receiver)
        self._step("install the sample product", self._install_product)
        self._step("install the operator", self._install_operator)
        self._step("the number is the truth", lambda: self._number(self._usage))
        self._step("the first report is accepted", lambda: self._reported(1))
        self._step("people sign in", lambda: self._number(lambda: self.people.sign_in(3)))
        self._step("the operator is killed while a report is due", self._kill_operator)
        self._step("the product is killed, and somebody signs in", self._kill_product)
        self._step("the receiver is killed while a report is due", self._kill_receiver)
        self._step("upgrade", self._upgrade)
        self._step("commands in the pod: backup, check, keys, doctor", self._commands_in_the_pod)
        if self.way.name == "chart":
            self._step("uninstall: volume, keys and objects stay", self._uninstall_kept)
            self._step("install again: number and reports go on", self._install_again)
            self._step("remove the LicenseUsage, then the operator", self._remove_usage_first)
        else:
            self._step("remove the operator, then the LicenseUsage", self._remove_operator_first)

    def _step(self, name: str, do: Callable[[], str | None]) -> None:
        self.outcome.step(self.way.name, name, do)

    def _install_receiver(self) -> None:
        self.commands.apply(*self.vendor.receiver_secrets())
        self.way.receiver(self.after)
        available(self.commands, RECEIVER, RECEIVER)

    def _install_product(self) -> str:
        objects = product(self.commands, self.folder / "product", self.after, self.plan)
        self.commands.apply(self.people.token(), *objects)
        available(self.commands, PRODUCT, DEPLOYMENT)
        return f"{self.people.truth()} people were active"

    def _install_operator(self) -> None:
        self.vendor.introduce()
        self.way.operator(self.before)
        available(self.commands, OPERATOR, OPERATOR_DEPLOYMENT)

    def _usage(self) -> None:
        self.vendor.license()
        self.way.usage(self.before)

    def _number(self, change: Callable[[], object]) -> str:
        change()
        self._ask()
        wanted = self.people.truth()
        until(
            self._seen,
            lambda seen: seen.startswith(f"{wanted} users, Ready True"),
            f"LicenseUsage {PRODUCT}/{USAGE} states {wanted} users and is Ready",
        )
        return self.commands.kube("get", "licenseusage", USAGE, "-n", PRODUCT).strip()

    def _ask(self) -> None:
        """Have the product asked, and reports sent, now."""
        self.asked += 1
        stamp = f"licenseusage.dev/requested-at=e2e-{self.asked}"
        target = ("licenseusage", USAGE, "-n", PRODUCT)
        self.commands.kube("annotate", *target, "--overwrite", stamp)

    def _seen(self) -> str:
        status = (self.commands.get("licenseusage", USAGE, "-n", PRODUCT) or {}).get("status", {})
        return f"{status.get('activeUsers')} users, Ready {condition(status, 'Ready')}"

    def _reported(self, count: int) -> str:
        """Wait for a number of reports, all accepted; then judge all of them."""

        def look() -> list[str]:
            there = self.reports.there()
            return [f"{r.sequence} {r.delivery} {r.reason}".strip() for r in there]

        def all_accepted(seen: list[str]) -> bool:
            accepted = [int(text.split()[0]) for text in seen if text.split()[1] == "Accepted"]
            return len(accepted) == len(seen) and max(accepted, default=0) >= count

        until(look, all_accepted, f"{count} reports are accepted", seconds=300)
        return self.reports.judge(count)

    def _so_far(self) -> int:
        return len(self.reports.there())

    def _due(self) -> int:
        """Make a further report due; return how many there will be."""
        count = self.reports.newest() + 1
        self.vendor.license()
        return count

    def _kill(self, namespace: str, label: str) -> None:
        """Delete pods as a crash would: nobody is asked to end."""
        selected = ("--selector", label, "-n", namespace)
        self.commands.kube("delete", "pod", *selected, "--grace-period=0", "--force")

    def _kill_operator(self) -> str:
        count = self._due()
        self._ask()
        self._kill(OPERATOR, "app.kubernetes.io/component=operator")
        available(self.commands, OPERATOR, OPERATOR_DEPLOYMENT)
        self._number(lambda: None)
        return self._reported(count)

    def _kill_product(self) -> str:
        self._kill(PRODUCT, "app.kubernetes.io/name=sample-product")
        available(self.commands, PRODUCT, DEPLOYMENT)
        return self._number(lambda: self.people.sign_in(2))

    def _kill_receiver(self) -> str:
        count = self._due()
        self._kill(RECEIVER, "app.kubernetes.io/component=receiver")
        self._ask()
        available(self.commands, RECEIVER, RECEIVER)
        self._ask()
        return self._reported(count)

    def _upgrade(self) -> str:
        count = self._due()
        self.way.operator(self.after)
        available(self.commands, OPERATOR, OPERATOR_DEPLOYMENT)
        self._number(lambda: self.people.sign_in(1))
        image = self.commands.kube(
            *("get", "pod", "-n", OPERATOR, "-l", "app.kubernetes.io/component=operator"),
            *("-o", "jsonpath={.items[*].spec.containers[*].image}"),
        )
        if image != str(self.after.image):
            raise Failed(f"the operator's pods run {image}, not {self.after.image}")
        return self._reported(count)

    def _commands_in_the_pod(self) -> str:
        backup, keys = self.folder / "backup.sqlite", self.folder / "keys.age"
        self.commands.ours("ledger", "check")
        self.commands.ours("ledger", "backup", "-o", str(backup))
        self.commands.ours("ledger", "check", str(backup))
        passphrase = ("--passphrase-file", "-")
        self.commands.ours("keys", "export", "-o", str(keys), *passphrase, stdin=_FIRST_LINE)
        findings = json.loads(self.commands.ours("doctor", "--output", "json", check=False))
        return f"a backup of {backup.stat().st_size} bytes, {doctored(findings)}"

    def _uninstall_kept(self) -> str:
        self.way.uninstall()
        self._no_operator()
        for kind, name in _KEPT:
            if self.commands.get(kind, name, "-n", OPERATOR) is None:
                raise Failed(
                    f"{kind} {OPERATOR}/{name} is gone; docs/install.md says that it stays"
                )
        return self._objects_stay()

    def _install_again(self) -> str:
        count = self._due()
        self.way.operator(self.after)
        available(self.commands, OPERATOR, OPERATOR_DEPLOYMENT)
        self._number(lambda: self.people.sign_in(1))
        return self._reported(count)

    def _remove_usage_first(self) -> str:
        self._delete_usage()
        self.way.uninstall()
        self._no_operator()
        return f"{self._so_far()} reports stay"

    def _remove_operator_first(self) -> str:
        self.way.uninstall()
        if self.commands.get("namespace", OPERATOR) is not None:
            raise Failed(f"namespace {OPERATOR} is still there")
        seen = self._objects_stay()
        self._delete_usage()
        return seen

    def _delete_usage(self) -> None:
        """Delete the LicenseUsage; its reports stay."""
        before = self._so_far()
        self.commands.kube("delete", "licenseusage", USAGE, "-n", PRODUCT, "--timeout=30s")
        if self._so_far() != before:
            raise Failed(f"of {before} UsageReports {self._so_far()} are left")

    def _no_operator(self) -> None:
        selected = ("pods", "-n", OPERATOR, "-l", "app.kubernetes.io/component=operator")
        until(
            lambda: [pod["metadata"]["name"] for pod in self.commands.items(*selected)],
            lambda names: not names,
            "the operator's pods are gone",
        )

    def _objects_stay(self) -> str:
        usages = self.commands.items("licenseusages", "-n", PRODUCT)
        if len(usages) != 1 or not self._so_far():
            raise Failed(f"{len(usages)} LicenseUsages and {self._so_far()} UsageReports are left")
        return f"1 LicenseUsage and {self._so_far()} reports stay"


def doctored(findings: Mapping[str, Any]) -> str:
    """Return in words what the doctor found.

    Raises:
        Failed: A check failed; the message has its object and fix.
    """
    failed = [finding for finding in findings["checks"] if finding["result"] == "failed"]
    if failed:
        raise Failed(
            "doctor: " + "; ".join(f"{o['check']} {o['object']}: {o['seen']}" for o in failed)
        )
    return f"{len(findings['checks'])} checks of the doctor, none failed"
