"""Export mode: a file carries the reports to the vendor, and objects bring the receipts back.

The commands are those of a customer and a vendor without a network between them
(docs/air-gap.md): the CronJob's, with its arguments and its account; an upload; ``kubectl apply``.
"""

import json
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import yaml

from hack.controlplane import ControlPlane
from hack.demo import stage, vendor
from hack.demo.plan import Plan
from hack.demo.screen import Screen
from hack.demo.vendor import CommandFailed
from hack.demo.verdict import Point
from hack.demo.watching import Object, Snapshot, condition_of

COMPONENT: Final = stage.ROOT / "manifests" / "components" / "export"
_FOLDER_IN_POD: Final = "/exports"
_UPLOAD_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Carrier:
    """Whoever carries files between the customer and the vendor.

    Attributes:
        cp: The customer's cluster.
        seller: The vendor, whom the operator cannot reach.
        exports: The folder that the CronJob keeps.
        plan: The simulated time.
        screen: Shows what is done.
    """

    cp: ControlPlane
    seller: vendor.Vendor
    exports: Path
    plan: Plan
    screen: Screen

    def export(self) -> str:
        """Run what the CronJob runs; return what it printed.

        Raises:
            CommandFailed: Its exit code is not 0.
        """
        account = self.cp.kubeconfig_for(stage.OPERATOR_NAMESPACE, "licenseusage-export")
        environment = self.cp.environment(account) | stage.ledger_environment(self.cp)
        words = command((COMPONENT / "cronjob.yaml").read_text(), self.exports)
        printed = vendor.cli(self.screen, self.plan, *words, environment=environment)
        self.screen.plain(_indented(printed))
        return printed

    def file(self) -> Path:
        """Return the bundle in the folder.

        Raises:
            CommandFailed: There is none, or there are several.
        """
        files = sorted(self.exports.iterdir())
        if len(files) != 1:
            names = ", ".join(path.name for path in files) or "none"
            raise CommandFailed(f"one bundle was expected in {self.exports}, there is: {names}")
        return files[0]

    def upload(self, bundle: Path, form: str) -> str:
        """Give a file to the vendor's receiver; return its answer in the form asked for.

        Args:
            bundle: The file.
            form: ``json`` or ``yaml``.

        Raises:
            CommandFailed: It is refused as a whole.
        """
        url = f"{self.seller.url}/v1/bundles?format={form}"
        self.screen.line(f"  [dim]POST {url} < {bundle.name}[/]")
        answer = httpx.post(
            url,
            content=bundle.read_bytes(),
            headers={"Content-Type": "text/plain; charset=us-ascii"},
            verify=ssl.create_default_context(cafile=str(self.seller.ca)),
            timeout=_UPLOAD_SECONDS,
            trust_env=False,
        )
        if answer.status_code != 200:
            raise CommandFailed(f"POST {url}: HTTP {answer.status_code}\n{answer.text}")
        return answer.text

    def lines(self, bundle: Path) -> list[Object]:
        """Upload a file and return what became of each of its documents; say how many there are."""
        answer: dict[str, Any] = json.loads(self.upload(bundle, "json"))
        lines: list[Object] = answer["lines"]
        known = sum(line["known"] for line in lines)
        for line in lines:
            words = f"{line['result']}{', already known' if line['known'] else ''}"
            self.screen.plain(f"    line {line['line']}, {line['type']}: {words}")
        self.screen.plain(
            f"    {len(lines) - known} new, {known} known; the vendor has "
            f"{self.seller.reports()} reports"
        )
        return lines


def command(cronjob: str, folder: Path) -> list[str]:
    """Return the arguments of the CronJob's container, with the demo's folder for the volume.

    Args:
        cronjob: The manifest, YAML.
        folder: Stands where the pod mounts its volume.
    """
    pod = yaml.safe_load(cronjob)["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    return [str(word).replace(_FOLDER_IN_POD, str(folder)) for word in container["args"]]


def prepare(cp: ControlPlane, seller: vendor.Vendor, plan: Plan, screen: Screen) -> Carrier:
    """Install the CronJob's account with its rights, and make the folder that it keeps."""
    cp.apply(COMPONENT / "rbac.yaml")
    exports = cp.folder / "exports"
    exports.mkdir()
    return Carrier(cp, seller, exports, plan, screen)


def there_and_back(
    carrier: Carrier, seen: Snapshot, receipted: Callable[[], Snapshot]
) -> list[Point]:
    """Walk the loop once: export, upload twice, receipts as objects, and the folder is tidied.

    Args:
        carrier: Who walks.
        seen: The cluster, its ended cycle's final waiting for an export.
        receipted: Waits until the cluster shows that the receipts were used.

    Returns:
        What must be true of the way, with what was seen.
    """
    screen, final = carrier.screen, seen.final["spec"]["token"]
    with screen.step("the CronJob's command writes a bundle", quiet=True):
        carrier.export()
        bundle = carrier.file()
    inside = "in it" if final in bundle.read_text("ascii").splitlines() else "not in it"
    before = carrier.seller.reports()
    with screen.step("the file at the vendor", quiet=True):
        first, stored = carrier.lines(bundle), carrier.seller.reports()
    with screen.step("the same file again, as if the answer had been lost", quiet=True):
        again, after = carrier.lines(bundle), carrier.seller.reports()
        objects = carrier.cp.folder / "receipts.yaml"
        objects.write_text(carrier.upload(bundle, "yaml"))
    with screen.step("the receipts back in the cluster", quiet=True):
        words = ("apply", "--server-side", "-f", str(objects))
        screen.command(["kubectl", *words])
        screen.plain(_indented(carrier.cp.kubectl(*words).stdout))
        back = receipted()
    with screen.step("the CronJob's command again: what is receipted goes", quiet=True):
        carrier.export()
    return [
        Point("the bundle holds the final report", inside, inside == "in it"),
        Point("nothing had reached the vendor before", f"{before} reports", before == 0),
        carried_twice(first, again, (stored, after)),
        *receipts_used(back),
        Point(
            "the folder for exports is tidied",
            "the file is gone" if not bundle.exists() else f"{bundle.name} is still there",
            not bundle.exists(),
        ),
    ]


def carried_twice(first: list[Object], again: list[Object], stored: tuple[int, int]) -> Point:
    """Judge two uploads of one file.

    Args:
        first: What became of each line, the first time: all must be new and accepted.
        again: The same, the second time: all must be known, with the receipts of the first time.
        stored: Reports that the vendor had after each.
    """
    new = [line for line in first if line["result"] == "Accepted" and not line["known"]]
    known = [line for line in again if line["known"]]
    same = [line["receipt"] for line in first] == [line["receipt"] for line in again]
    words = (
        f"{len(new)} of {len(first)} documents new, then {len(known)} of {len(again)} known, with "
        f"{'the same' if same else 'other'} receipts; {stored[0]} reports stored, then {stored[1]}"
    )
    true = bool(first) and len(new) == len(first) and len(known) == len(again) and same
    return Point("carried twice, it counts once", words, true and 0 < stored[0] == stored[1])


def receipts_used(back: Snapshot) -> list[Point]:
    """Judge what the cluster shows of the receipts."""
    ready = [condition_of(receipts, "Ready") for receipts in back.receipts.values()]
    last = back.final.get("spec", {}).get("sequence", 0)
    carried = [r for r in back.reports.values() if r["spec"]["sequence"] <= last]
    accepted = [r for r in carried if (r.get("status") or {}).get("delivery") == "Accepted"]
    return [
        Point(
            "UsageReceipts are used",
            ", ".join(f"Ready={c.get('status')} ({c.get('reason')})" for c in ready) or "none",
            bool(ready) and all(c.get("status") == "True" for c in ready),
        ),
        Point(
            "UsageReports are Accepted",
            f"{len(accepted)} of {len(carried)}",
            bool(carried) and len(accepted) == len(carried),
        ),
        _reported(back),
    ]


def to_carry(snapshot: Snapshot) -> bool:
    """Whether the ended cycle's final is there, and waits for somebody who carries it."""
    status = snapshot.final.get("status") or {}
    return snapshot.ended.get("state") == "Final" and status.get("reason") == "Offline"


def brought_back(snapshot: Snapshot) -> bool:
    """Whether the receipts that were applied have been used, as far as they can be."""
    return all(point.true for point in receipts_used(snapshot))


def _reported(snapshot: Snapshot) -> Point:
    """Judge the LicenseUsage: Exported it was before, too, but nothing of it was accepted."""
    reported = snapshot.condition("Reported")
    accepted = (snapshot.status.get("lastReport") or {}).get("acceptedTime")
    words = f"Reported={reported.get('status')} ({reported.get('reason')})"
    true = (reported.get("status"), reported.get("reason")) == ("True", "Exported")
    return Point(
        "and the LicenseUsage says so",
        f"{words}, last accepted {accepted or 'never'}",
        true and accepted is not None,
    )


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())
