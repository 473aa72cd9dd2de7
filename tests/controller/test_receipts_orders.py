"""Bundles are lost, receipts come late and twice, the vendor loses data: in the end all is well.

Random histories of an honest vendor and a courier. In the end the vendor has every report, and the
ledger says so.
"""

import random

import pytest

from licenseusage.reports.names import Link, digest
from licenseusage.reports.receipt import Sent
from tests.controller.test_receipts_taken import AT_S, Customer
from tests.delivery.people import VendorDesk
from tests.delivery.test_with_ledger import TOKENS, World

LATER_REPORTS = 2
"""So many of the six are made after everything that may go wrong: they show the vendor's head."""


class HonestVendor:
    """Keeps what comes, answers the same document with the same receipt, signs its true head."""

    def __init__(self) -> None:
        self.desk, self.receipts = VendorDesk(now_s=AT_S - 86_400), {}

    @property
    def head(self) -> int:
        run = 0
        while run + 1 in self.receipts:
            run += 1
        return run

    def takes(self, numbers):
        """Store the reports of a bundle; return the receipts file."""
        self.desk.now_s += 1
        answers = []
        for number in numbers:
            if number not in self.receipts:
                self.receipts[number] = ""
                head = self.head
                link = Link(head, digest(TOKENS[head - 1])) if head else None
                self.receipts[number] = self.desk.receipt(TOKENS[number - 1], head=link)
            answers.append(self.receipts[number])
        return answers

    def loses_what_is_behind(self, number):
        self.receipts = {at: kept for at, kept in self.receipts.items() if at <= number}


def waiting(customer, most=6):
    """The reports that an export holds."""
    numbers = [Sent.from_token(d.token).subject.sequence for d in customer.documents()]
    states = customer.states()
    return [n for n, state in zip(numbers, states, strict=True) if state == "P" and n <= most]


@pytest.mark.parametrize("seed", range(15))
def test_in_the_end_the_vendor_has_all_and_the_ledger_says_so(tmp_path, seed):
    chance, vendor = random.Random(seed), HonestVendor()
    customer = Customer(World(tmp_path / "ledger.db"))
    files = []
    for _ in range(chance.randint(2, 6)):
        bundle = [n for n in waiting(customer, 6 - LATER_REPORTS) if chance.random() < 0.8]
        files.append(vendor.takes(bundle))
        if chance.random() < 0.3:
            vendor.loses_what_is_behind(chance.randint(0, 4))
        for file in chance.sample(files, chance.randint(0, len(files))):
            lines = chance.sample(file, chance.randint(0, len(file)))
            if lines:
                customer.imports(*lines)
    for _ in range(6):  # now nothing goes wrong any more, and every old file is applied again
        for file in [*files, vendor.takes(waiting(customer))]:
            if file:
                customer.imports(*file)
    assert customer.states() == "AAAAAA", f"the vendor has {sorted(vendor.receipts)}"
    assert vendor.head == 6
    customer.ledger.close()
