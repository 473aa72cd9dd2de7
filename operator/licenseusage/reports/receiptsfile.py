"""The vendor's answer to a bundle: a receipts file, and the same as UsageReceipt objects (§8).

Pure: tokens in, text or objects out. No signature is verified here.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence

import yaml

from licenseusage.api import API_VERSION
from licenseusage.reasons import Reason
from licenseusage.reports.bundle import MAX_CHARACTERS_IN_FILE, MAX_LINES
from licenseusage.reports.refused import need
from licenseusage.reports.tokens import decode, typ_of
from licenseusage.reports.typs import (
    ENROLMENT,
    MAX_CHARACTERS,
    RECEIPT,
    REPORT,
    SUCCESSION,
)

MAX_TOKENS_IN_OBJECT = 64
"""The most receipts that one UsageReceipt holds (REPORT_FORMAT §8)."""

_ORDER = (ENROLMENT, SUCCESSION, REPORT)


def receipts_text(receipts: Iterable[str]) -> str:
    """Return a receipts file: each receipt once, in the order given, one token and LF per line.

    Args:
        receipts: Receipts in the order of the bundle that they answer; see ``in_bundle_order``.
    """
    return "".join(f"{token}\n" for token in dict.fromkeys(receipts))


def read_receipts(data: str) -> tuple[str, ...]:
    """Split a receipts file into its tokens; their signatures are not verified.

    Raises:
        Refused: ``TooLarge``; ``BundleInvalid``: not one token and one line feed per line, or no
            line at all; ``UnsupportedType``: a line is another document than a receipt; a class of
            layer 1 for a line that is no token.
    """
    fits = len(data) <= MAX_CHARACTERS_IN_FILE and data.count("\n") <= MAX_LINES
    need(fits, Reason.TOO_LARGE, f"at most {MAX_LINES} lines and 16 MiB")
    need(data, Reason.BUNDLE_INVALID, "a receipts file without a line")
    clean = data.isascii() and data.endswith("\n") and "\r" not in data and "\n\n" not in data
    need(
        clean and not data.startswith("\n"),
        Reason.BUNDLE_INVALID,
        "one receipt and one line feed per line, ASCII",
    )
    lines = tuple(data[:-1].split("\n"))
    for number, line in enumerate(lines, 1):
        need(len(line) <= MAX_CHARACTERS[RECEIPT], Reason.TOO_LARGE, f"line {number}")
        need(typ_of(line) == RECEIPT, Reason.UNSUPPORTED_TYPE, f"line {number} is no receipt")
    return lines


def in_bundle_order(receipts: Iterable[str]) -> list[str]:
    """Sort receipts as the documents that they acknowledge stand in a bundle.

    Key statements come first, by sequence; then reports by chain, then sequence. Receipts of one
    document keep the order given.

    Raises:
        Refused: a class of layer 1: a receipt that cannot be read.
    """
    return sorted(receipts, key=_position)


def usage_receipts(receipts: Iterable[tuple[str | None, str]]) -> list[dict[str, object]]:
    """Return the UsageReceipt objects that carry receipts, as ``kubectl apply`` takes them.

    A UsageReceipt acknowledges documents of its own namespace only. So each namespace gets a set of
    objects; the receipts of key statements are in every set. The same receipts give the same
    objects: their names follow from their contents.

    Args:
        receipts: Pairs of namespace and receipt, in the order of the receipts file. The namespace
            is that of the report's usage object; None: the receipt is of a key statement. If no
            pair has a namespace, there is no object.
    """
    by_namespace: dict[str, dict[str, None]] = {}
    pairs = list(receipts)
    for namespace in sorted({namespace for namespace, _ in pairs if namespace is not None}):
        by_namespace[namespace] = {
            token: None for place, token in pairs if place is None or place == namespace
        }
    return [
        _object(namespace, lines)
        for namespace, tokens in by_namespace.items()
        for lines in _parts(list(tokens))
    ]


def usage_receipts_yaml(objects: Sequence[Mapping[str, object]]) -> str:
    """Return objects as one YAML file of several documents."""
    return "---\n" + yaml.safe_dump_all(objects, sort_keys=False, width=2 * MAX_CHARACTERS[RECEIPT])


def _object(namespace: str, lines: list[str]) -> dict[str, object]:
    content = hashlib.sha256(receipts_text(lines).encode("ascii")).hexdigest()
    return {
        "apiVersion": API_VERSION,
        "kind": "UsageReceipt",
        "metadata": {"name": f"receipts-{content[:12]}", "namespace": namespace},
        "spec": {"receipts": lines},
    }


def _parts(tokens: list[str]) -> list[list[str]]:
    return [
        tokens[begin : begin + MAX_TOKENS_IN_OBJECT]
        for begin in range(0, len(tokens), MAX_TOKENS_IN_OBJECT)
    ]


def _position(receipt: str) -> tuple[int, str, int]:
    _, claims = decode(receipt)
    subject, chain = claims.get("subject"), claims.get("chain")
    need(
        isinstance(subject, dict) and isinstance(chain, dict),
        Reason.CLAIM_MISSING,
        "subject or chain of a receipt",
    )
    assert isinstance(subject, dict)  # noqa: S101 - checked above
    assert isinstance(chain, dict)  # noqa: S101 - checked above
    typ, sequence = subject.get("typ"), subject.get("sequence")
    need(typ in _ORDER and isinstance(sequence, int), Reason.CLAIM_INVALID, "subject")
    return _ORDER.index(str(typ)), str(chain.get("id")), int(str(sequence))
