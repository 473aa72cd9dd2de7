"""What each column of the receiver's database is for."""

from collections.abc import Mapping

from hack.stored.group import Group

_KEPT = "as long as the database"
TABLES: Mapping[str, Group] = {
    group.name: group
    for group in (
        Group(
            "receiver_schema",
            "which tables the database has",
            _KEPT,
            {
                "version": "number of the schema",
            },
        ),
        Group(
            "chains",
            "chains of documents that arrived",
            _KEPT,
            {
                "id": "derived from vendor, installation, subscription and object",
                "aud": "the vendor",
                "installation": "thumbprint of the installation's first key",
                "subscription": "the customer's contract",
                "namespace": "namespace of the LicenseUsage that is counted for",
                "name": "name of the LicenseUsage",
                "head_sequence": "last position of the unbroken chain",
                "head_digest": "digest of the document there",
            },
        ),
        Group(
            "installations",
            "installations that enrolled, with the terms of their licence",
            _KEPT,
            {
                "key_chain_id": "chain of its key statements",
                "installation": "thumbprint of its first key",
                "subscription": "the customer's contract",
                "product": "the product",
                "maximum_active_users": "users that are paid for",
                "replaces": "installation whose place it takes",
                "license_id": "the licence that it enrolled with",
                "vendor": "who signed that licence",
                "anchor_date": "day on which the first cycle begins",
                "length_days": "length of a cycle in days",
                "length_months": "length of a cycle in months",
                "interval_hours": "agreed hours between interim reports",
                "interim": "whether interim reports are required",
                "reporting_required": "whether the contract asks for reports",
                "purpose": "what the licence is for",
                "not_before_s": "when the licence begins",
                "expires_s": "when it ends",
                "license_issued_at_s": "when it was signed",
                "enrolled_ms": "when the enrolment arrived",
            },
        ),
        Group(
            "keys",
            "public keys of installations",
            _KEPT,
            {
                "key_chain_id": "chain of key statements",
                "kid": "thumbprint of the key",
                "rank": "position of the statement that brought it",
                "x": "the public key",
            },
        ),
        Group(
            "documents",
            "every document that arrived, with its verdict",
            _KEPT,
            {
                "digest": "digest of the token",
                "chain_id": "its chain",
                "sequence": "its position",
                "typ": "report, enrolment or succession",
                "jti": "id of the document",
                "previous": "digest of the document before it",
                "rank": "position of the key that signed it",
                "token": "the document as it arrived: counts and names of objects, nobody's id",
                "verdict": "Accepted, Rejected or Conflict",
                "error": "why it was not accepted",
                "findings": "remarks about it",
                "received_ms": "when it arrived",
                "receipt": "the answer that was signed",
                "receipt_kid": "key that signed the answer",
            },
        ),
        Group(
            "reports",
            "what accepted reports say",
            _KEPT,
            {
                "digest": "digest of the token",
                "chain_id": "its chain",
                "sequence": "its position",
                "kind": "interim, final or amendment",
                "cycle_index": "number of the cycle",
                "cycle_start_s": "first moment of the cycle",
                "cycle_end_s": "first moment after the cycle",
                "as_of_s": "until when the number is stated",
                "accuracy": "how the number is to be read",
                "active_users": "proved number of active users",
                "active_users_upper_bound": "number that was certainly not exceeded",
                "provisioned_users": "number of accounts",
                "observed_seconds": "seconds that were observed",
                "stands": "0: a later arrival showed that it breaks a rule",
            },
        ),
        Group(
            "licenses",
            "licences of the vendor's that arrived",
            _KEPT,
            {
                "vendor": "who signed it",
                "subscription": "the customer's contract",
                "license_id": "id of the licence",
                "issued_at_s": "when it was signed",
                "token": "the licence as signed",
                "received_ms": "when it arrived",
            },
        ),
        Group(
            "probes",
            "a test whether anything can be stored",
            _KEPT,
            {
                "id": "number of the row",
                "content": "filler bytes",
            },
        ),
    )
}
