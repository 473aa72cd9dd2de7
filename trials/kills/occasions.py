"""What an administrator does between two lives, and which places of the sweep it leads to."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Deed(StrEnum):
    """What an administrator does between two lives."""

    ROTATE = "rotates the key"
    EXPORT = "exports an object's reports from now on"
    SEND = "has the reports of that object sent again"
    CARRY = "carries a file to the vendor, and receipts back"
    HOLD = "has an object's reports wait for approval from now on"
    LET_GO = "wants no approval any more"
    APPROVE = "approves what waits"
    BACK_UP = "makes a backup"
    RESTORE = "restores the newest backup"
    FORFEIT = "restores the newest backup, and loses what waited since, with the former ledger"
    LOSE = "loses the ledger and all backups"


WEIGHTS: Final = {
    Deed.ROTATE: 4,
    Deed.EXPORT: 3,
    Deed.SEND: 3,
    Deed.CARRY: 24,
    Deed.HOLD: 2,
    Deed.LET_GO: 2,
    Deed.APPROVE: 6,
    Deed.BACK_UP: 6,
    Deed.RESTORE: 4,
    Deed.FORFEIT: 2,
    Deed.LOSE: 1,
}
"""How often each is done, one against the other."""


@dataclass(frozen=True, slots=True)
class Way:
    """What leads to a place of the sweep that is left.

    Attributes:
        words: Part of the places' names.
        deeds: What is done before a life that lasts until a cycle's end is reported.
    """

    words: str
    deeds: tuple[Deed, ...]


WAYS: Final = (
    Way("Succession", (Deed.ROTATE,)),
    Way("secrets next", (Deed.ROTATE,)),
    Way("patch configmaps", (Deed.ROTATE,)),
    Way("wait_for_export", (Deed.EXPORT,)),
    Way("resend_if_rerouted", (Deed.EXPORT,)),
    Way("resend_if_rerouted", (Deed.SEND,)),
    Way("record_receipt", (Deed.EXPORT, Deed.CARRY)),
    Way("usagereceipts", (Deed.EXPORT, Deed.CARRY)),
    Way("AwaitingApproval", (Deed.HOLD,)),
    Way("follow_approvals", (Deed.HOLD, Deed.APPROVE)),
    Way("follow_approvals", (Deed.LET_GO,)),
    Way("stop_chain", (Deed.BACK_UP,)),
    Way("stop_chain", (Deed.RESTORE,)),
    Way("take_over", (Deed.BACK_UP,)),
    Way("take_over", (Deed.RESTORE,)),
    Way("adopt", (Deed.HOLD, Deed.BACK_UP)),
    Way("adopt", (Deed.HOLD, Deed.FORFEIT)),
)
"""Where several lead to one place, each is tried; some need that another was done before."""
