"""What the vendor holds of a chain of ours: its answer, read line by line (REPORT_FORMAT §9, §11).

Nothing in it is believed for where it came from: a report counts if a key of ours has signed it, a
receipt if a key of the vendor's has. Whether they are a whole chain is for `reports.chain` to say.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from licenseusage.delivery.outcome import Answer, NoAnswer, media_of, problem_of
from licenseusage.errors import Retryable
from licenseusage.reasons import Reason
from licenseusage.reports.grammar import is_token
from licenseusage.reports.keys import InstallationKeys, VendorKey
from licenseusage.reports.receipt import Receipt, Sent, read_receipt
from licenseusage.reports.refused import MEANING, Refused
from licenseusage.reports.tokens import open_token, typ_of
from licenseusage.reports.typs import ENROLMENT, RECEIPT, REPORT

_LINES = "text/plain"


@dataclass(frozen=True, slots=True)
class History:
    """What the vendor holds of a chain.

    Attributes:
        reports: Signed by a key of ours, by digest.
        receipts: Signed by a key of the vendor's.
        enrolled: Whether the vendor holds our enrolment: only then an answer without reports says
            that it holds none.
    """

    reports: Mapping[str, str]
    receipts: tuple[Receipt, ...]
    enrolled: bool


def read_history(
    answer: Answer | NoAnswer,
    *,
    chain_id: str,
    key_chain_id: str,
    keys: InstallationKeys,
    vendor_keys: Mapping[str, VendorKey],
    host: str,
) -> History:
    """Return what an answer brings of one chain; what is not ours, or not of it, is left out.

    Args:
        answer: The answer to a request for history.
        chain_id: The chain of reports.
        key_chain_id: The chain of its key statements.
        keys: Ours, retired ones too.
        vendor_keys: The pinned keys.
        host: Who was asked, for messages.

    Raises:
        Retryable: There is no history in it.
    """
    if isinstance(answer, NoAnswer):
        raise Retryable(
            Reason.known(answer.reason, Reason.ENDPOINT_UNREACHABLE),
            f"{host} gave no answer ({answer.cause})",
        )
    if answer.status != 200 or media_of(answer) != _LINES or not answer.body:
        error = problem_of(answer).get("error")
        reason = Reason.known(str(error) if is_token(error) else None, Reason.UNEXPECTED_RESPONSE)
        meaning = f": {MEANING[reason]}" if reason in MEANING else ""
        raise Retryable(reason, f"{host} answered {answer.status} without a history{meaning}")
    reports, receipts, enrolled = {}, [], False
    for line in answer.body.decode("ascii", "replace").splitlines():
        try:
            typ = typ_of(line)
            if typ == RECEIPT:
                receipt = read_receipt(line, vendor_keys)
                receipts += [receipt] if receipt.chain_id == chain_id else []
                continue
            sent = Sent.from_token(line)
            if typ == ENROLMENT:
                enrolled |= sent.chain_id == key_chain_id
            elif typ == REPORT and sent.chain_id == chain_id:
                open_token(line, REPORT, keys)
                reports[sent.subject.digest] = line
        except Refused:
            continue
    return History(reports, tuple(receipts), enrolled)
