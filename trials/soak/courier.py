"""The way without a network: files out of the ledger, to the vendor late or twice, receipts back.

Packed, judged and imported by the real code. What people do wrong on the way is done here.
"""

import json
import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import yaml

from licenseusage.cli.bundles import Wanted, export
from licenseusage.controller.rules.key import Key
from licenseusage.controller.rules.resources import RECEIPTS
from licenseusage.ledger.documents.exporting import signed_documents
from licenseusage.reports.bundle import Parties, make_bundle, read_lines
from licenseusage.reports.keyring import KeyRing, KeyStatement, Placed
from licenseusage.reports.receipt import stored_receipt
from trials.soak import vendor as vendors
from trials.soak.cluster import OBJECTS, Cluster
from trials.soak.need import need
from trials.soak.tally import Tally

ELSEWOBJECTS = "elsewhere"
"""A namespace without objects: receipts there acknowledge nothing."""
DAMAGES = ("cut", "edited", "lineLost", "lineEnds", "badLine")
"""What happens to a file on its way; a bad line was bad before the file was packed."""
RETURNS = ("whole", "whole", "whole", "twice", "elsewhere", "one", "damaged", "withdrawn")
"""How receipts come back."""


@dataclass(slots=True)
class Covered:
    """What the receipts that were brought say of one chain.

    Attributes:
        head: The highest position that they name as held without a gap.
        subjects: Positions that have a receipt of their own.
    """

    head: int = 0
    subjects: set[int] = field(default_factory=set)


class Courier:
    """Carries files of one history; knows every file that was ever packed.

    Attributes:
        packed: Hears of the reports in each file that is made.
        disordered: Subscriptions whose documents may arrive with a gap: a line of a file was bad.
    """

    def __init__(
        self, vendor: vendors.Vendor, cluster: Cluster, random_: random.Random, tally: Tally
    ) -> None:
        """Begin without a file."""
        self._vendor, self._cluster, self._random, self._tally = vendor, cluster, random_, tally
        self._files: dict[int, list[str]] = {}
        self._objects: dict[int, list[dict[str, Any]]] = defaultdict(list)
        self._put: list[str] = []
        self.disordered: set[str] = set()
        self.packed: Callable[[Iterable[str]], None] = lambda _: None
        self.covered: dict[str, Covered] = defaultdict(Covered)

    def pack(
        self, number: int, path: Path, names: tuple[str, ...], ring: KeyRing, at_s: int
    ) -> int:
        """Make the files of what waits in a ledger; return how many documents they hold.

        Args:
            number: Names the files, for `carry`.
            path: The ledger, while its operator writes it.
            names: Only these objects; empty: all.
            ring: The installation's keys.
            at_s: The operator's time, seconds.
        """
        documents = signed_documents(path)
        known = {usage.name for usage in documents.usages.values()}
        wanted = Wanted(names=tuple(name for name in names if name in known))
        if names and not wanted.names:
            return 0
        made = export(documents, wanted, ring, at_s)
        self._files[number] = [bundle.data for bundle in made.bundles]
        self.packed(report for bundle in made.bundles for report in read_lines(bundle.data).reports)
        lines = [read_lines(bundle.data) for bundle in made.bundles]
        self._tally.notes["files packed"] += len(lines)
        return sum(len(each.reports) + len(each.key_statements) for each in lines)

    async def carry(self, number: int, damage: str, ring: KeyRing | None) -> None:
        """Hand the files of a number to the vendor, whole or damaged; any number of times."""
        for data in self._files.get(number, ()):
            if damage == "badLine" and ring is not None:
                await self._carry_bad_line(number, data, ring)
            elif damage not in ("", "badLine"):
                await self._carry_damaged(data, damage)
            else:
                self._objects[number] += await self._take(data)

    async def carry_again(self) -> None:
        """Hand some of the files that were ever packed to the vendor once more."""
        numbers = sorted(self._files)
        for number in self._random.sample(numbers, min(5, len(numbers))):
            await self.carry(number, "", None)

    def bring_back(self, number: int, how: str) -> list[Key]:
        """Apply the receipts for the files of a number; return the objects that were made."""
        objects = self._objects.get(number) or []
        if not objects:
            return []
        self._tally.notes[f"receipts brought, {how}"] += 1
        made = []
        for body in objects if how != "one" else [self._random.choice(objects)]:
            made += self._apply(body, number, how)
        return made

    def withdraw(self) -> Key | None:
        """Delete one of the objects with receipts: what it has acknowledged stays."""
        if not self._put:
            return None
        name = self._put.pop(self._random.randrange(len(self._put)))
        self._cluster.remove(RECEIPTS, OBJECTS, name)
        return Key(OBJECTS, name)

    def objects(self) -> list[Key]:
        """Return every object with receipts that there is."""
        return [
            Key(namespace, name)
            for plural, namespace, name in sorted(self._cluster.objects)
            if plural == RECEIPTS.plural
        ]

    def check(self, accepted: Mapping[str, tuple[str, int]]) -> None:
        """Compare what a ledger takes for acknowledged with the receipts that were brought.

        Args:
            accepted: Reports of objects that were never on line: jti -> chain and position.

        Raises:
            Violation: One is acknowledged that no receipt covers.
        """
        for jti, (chain, sequence) in accepted.items():
            covered = self.covered[chain]
            holds = sequence <= covered.head or sequence in covered.subjects
            need(holds, f"document {jti} is Accepted, and no receipt that was brought covers it")

    # --- to the vendor ---------------------------------------------------------------------------

    async def _take(self, data: str) -> list[dict[str, Any]]:
        answer = await self._post(data)
        body = (await answer.aread()).decode()
        need(answer.status_code == 200, f"a bundle is answered {answer.status_code}: {body[:300]}")
        self._tally.notes["files taken in"] += 1
        return [each for each in yaml.load_all(body, yaml.CSafeLoader) if each is not None]

    async def _carry_damaged(self, data: str, damage: str) -> None:
        """What was changed on the way is refused as a whole, and nothing of it is stored."""
        changed = _damaged(data, damage, self._random)
        if changed == data:
            return
        before = self._vendor.tokens()
        answer = await self._post(changed)
        self._tally.faults[f"file {damage}"] += 1
        need(answer.status_code in (400, 401, 403), f"a file {damage}: {answer.status_code}")
        need(self._vendor.tokens() == before, f"a file {damage} was stored in part")

    async def _carry_bad_line(self, number: int, data: str, ring: KeyRing) -> None:
        """One line is refused, the others are not: they have a receipt each."""
        lines = read_lines(data)
        if len(lines.reports) < 2:
            return
        signer = ring.signer(
            [
                Placed(KeyStatement.from_token(token).brings.thumbprint, receipted=True)
                for token in lines.key_statements
            ]
        )
        if signer is None:
            return
        reports = list(lines.reports)
        bad = self._random.randrange(len(reports))
        reports[bad] = _spoiled(reports[bad])
        parties = Parties.of(reports[0])
        (packed,) = make_bundle(
            parties,
            signer,
            key_statements=lines.key_statements,
            reports=reports,
            now_s=self._vendor.now_s(),
        )
        self.disordered.add(parties.subscription)
        before = self._vendor.tokens()
        self._objects[number] += await self._take(packed)
        self._tally.faults["file badLine"] += 1
        need(reports[bad] not in self._vendor.tokens() - before, "a bad line was stored")

    async def _post(self, data: str) -> httpx.Response:
        return await self._vendor.direct(
            httpx.Request(
                "POST",
                f"{vendors.ENDPOINT}/v1/bundles?format=yaml",
                content=data.encode(),
                headers={"content-type": "text/plain; charset=us-ascii"},
            )
        )

    # --- and back --------------------------------------------------------------------------------

    def _apply(self, body: dict[str, Any], number: int, how: str) -> list[Key]:
        body = json.loads(json.dumps(body))
        name, receipts = body["metadata"]["name"], body["spec"]["receipts"]
        namespace = body["metadata"]["namespace"]
        need(namespace == OBJECTS, f"receipts for {namespace}")
        if how == "elsewhere":
            return [self._create(ELSEWOBJECTS, name, receipts)]
        if how == "one":
            receipts = [self._random.choice(receipts)]
            name = f"{name}-{number}"
        if how == "damaged":
            at = self._random.randrange(len(receipts))
            self._cover(receipts[:at] + receipts[at + 1 :])
            receipts[at] = _spoiled(receipts[at])
            return [self._create(OBJECTS, f"{name}-{number}-damaged", receipts)]
        self._cover(receipts)
        made = [self._create(OBJECTS, name, receipts)]
        if how == "twice":
            made.append(self._create(OBJECTS, f"{name}-again", list(reversed(receipts))))
        if how == "withdrawn":
            self._put.append(name)
        return made

    def _create(self, namespace: str, name: str, receipts: list[str]) -> Key:
        body = {"metadata": {"generation": 1}, "spec": {"receipts": receipts}}
        self._cluster.put(RECEIPTS, namespace, name, body)
        return Key(namespace, name)

    def _cover(self, receipts: Sequence[str]) -> None:
        for token in receipts:
            receipt = stored_receipt(token)
            covered = self.covered[receipt.chain_id]
            covered.subjects.add(receipt.subject.sequence)
            if receipt.head is not None:
                covered.head = max(covered.head, receipt.head.sequence)


def _damaged(data: str, damage: str, random_: random.Random) -> str:
    lines = data.splitlines(keepends=True)
    match damage:
        case "cut":
            return data[: random_.randrange(len(data))]
        case "lineLost":
            at = random_.randrange(1, len(lines)) if len(lines) > 1 else 0
            return "".join(lines[:at] + lines[at + 1 :])
        case "lineEnds":
            return data.replace("\n", "\r\n")
    at = random_.randrange(len(data) - 1)
    return data[:at] + ("A" if data[at] != "A" else "B") + data[at + 1 :]


def _spoiled(token: str) -> str:
    """Return a token whose signature is another one."""
    head, payload, signature = token.split(".")
    return f"{head}.{payload}.{signature[:10]}{signature[10:20].swapcase()}{signature[20:]}"
