"""The one error of the verifier: a named class of REPORT_FORMAT §12, with a sentence for people.

The class is what protocols, conditions and tests compare; the sentence is for whoever has to
act and is never parsed.
"""

from licenseusage.errors import UsageError

UNSIGNED_CLASSES = frozenset(
    {
        "MalformedToken",
        "MalformedJSON",
        "NumberInvalid",
        "TooLarge",
        "HeaderInvalid",
        "UnsupportedAlgorithm",
        "UnsupportedType",
        "UnsupportedVersion",
        "SignatureInvalid",
        "KeyInvalid",
        "ClaimMissing",
        "ClaimInvalid",
        "IdentifierMismatch",
    }
)
"""Classes of layers 1-2: the only ones that a 400 or 413, which nobody signs, may name."""

MEANING = {
    "MalformedToken": "this is not a token: three base64url parts joined by dots, nothing around",
    "MalformedJSON": "the token's JSON is malformed, has a member twice, or nests too deeply",
    "NumberInvalid": "the token holds a number that is not a plain integer within 2^53",
    "TooLarge": "the document is longer than its type allows",
    "HeaderInvalid": "the token's header has members that the format does not know",
    "UnsupportedAlgorithm": "the token is not signed with Ed25519",
    "UnsupportedType": "the token is of another type than expected here",
    "UnsupportedVersion": "the document's version is not one that this program reads",
    "SignatureInvalid": "the signature does not fit: the document was altered or cut",
    "KeyInvalid": "the public key is malformed, unsafe, or was used before",
    "ClaimMissing": "a required claim is missing",
    "ClaimInvalid": "a claim has a value that the format does not allow",
    "IdentifierMismatch": "the document's id does not follow from what it names",
    "KeyUnknown": "the key that signed this is not among the trusted ones",
    "KeyRevoked": "the key that signed this has been revoked by the vendor",
    "KeyRetired": "a key signed this after a newer key had taken its place",
    "KeyNotPermitted": "the key that signed this is not allowed to sign documents of this type",
    "LicenseExpired": "the licence has expired; ask the vendor for a new one",
    "LicenseNotYetValid": "the licence is not valid yet; check its start and this machine's clock",
    "LicenseMismatch": "the document belongs to another subscription or product than the licence",
    "LicenseKeyMismatch": "the licence is bound to another installation's key",
    "LicenseTermsChanged": (
        "the licence changes the cycles of its subscription; new terms need a new subscription"
    ),
    "CycleUnsupported": "the licence's cycle is longer than the 62 days this operator can meter",
    "IssuerMismatch": "the document was issued by someone else than its key belongs to",
    "AudienceMismatch": "the document is addressed to someone else",
    "IssuedInFuture": "the document's time of issue lies in the future; check both clocks",
    "ClockInconsistent": "the report was issued before the time it speaks of",
    "CycleMismatch": "the report's cycle is not one of the licence's cycles",
    "CountsInconsistent": "the report's counts contradict its accuracy or its days",
    "CoverageInconsistent": "the report's observed time and gaps do not add up",
    "ReportConflict": "two different reports claim the same position of the chain",
    "ChainForked": "a report does not follow the one before it: the history was rewritten",
    "ChainGap": "a position of the chain is missing",
    "ChainTruncated": "a report that the vendor has acknowledged is missing",
    "CycleOrder": "the cycles of the chain are out of order, or a cycle has two finals",
    "AmendmentInvalid": "the amendment names a wrong report or leaves the bounds it may narrow",
    "LocalHistoryLost": "the vendor holds a report that is not known here",
    "VendorHeadRegressed": "the vendor lost reports that it had acknowledged",
    "ReceiptInvalid": "the answer holds no receipt that verifies",
    "ReceiptMismatch": "the receipt acknowledges another document than the one sent",
    "BundleInvalid": "the bundle was cut, edited, or its lines are out of order",
}
"""The meaning of each class, for people who have not read the format."""


class Refused(UsageError):
    """A check failed; the first failing step of the specified order names the class.

    Attributes:
        error: The error class, a Token: usable as a condition's reason (the same as ``reason``).
    """

    def __init__(self, error: str, detail: str = "", *, words: str = "") -> None:
        """Keep the class and its meaning.

        Args:
            error: The class.
            detail: Names the claim or limit, never a value from the document.
            words: The whole sentence instead, where more is known than the class.
        """
        meaning = MEANING.get(error, "the document was refused")
        super().__init__(error, words or (f"{meaning} ({detail})" if detail else meaning))
        self.error = error


def need(ok: object, error: str, detail: str = "") -> None:
    """Raise ``Refused(error)`` unless ``ok``."""
    if not ok:
        raise Refused(error, detail)
