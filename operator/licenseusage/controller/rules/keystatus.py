"""What may be known about the keys: ids, dates, which key signs, what the vendor has receipted.

A document for people and programs, in a ConfigMap that anyone may be let read. Never a key. Pure.
"""

import json
from collections.abc import Mapping, Sequence

from licenseusage.api.model import rfc3339
from licenseusage.controller.rules.conditions import Status, Verdict
from licenseusage.ledger.documents.records import Delivery, OutboxItem
from licenseusage.reasons import Reason
from licenseusage.reports.keyring import KeyRing, KeyStatement, Placed, key_chains

STATEMENTS_MEMBER = "statements"
"""The statements exactly as signed, one a line: for ``report verify --enrolment``."""
STATUS_MEMBER = "status.json"
CONFIGMAP_MEMBERS: Mapping[str, str] = {
    STATEMENTS_MEMBER: "enrolments and successions, as signed",
    STATUS_MEMBER: "ids and dates of the keys, which key signs, what the vendor has receipted",
}
"""What each member of the ConfigMap is for; `docs/privacy.md` is made of it."""


def configmap_data(
    items: Sequence[OutboxItem],
    ring: KeyRing | None,
    pseudonym_id: str | None,
    exported: str | None,
) -> dict[str, str]:
    """Return the data of the ConfigMap of key statements.

    Args:
        items: All key statements of the ledger, by chain and position.
        ring: The keys; None: they cannot be read now.
        pseudonym_id: Public name of the pseudonym key; None: it cannot be read now.
        exported: When these keys were exported last, RFC 3339; None: never.
    """
    status = key_status(items, ring, pseudonym_id, exported)
    return {
        STATEMENTS_MEMBER: "".join(f"{item.token}\n" for item in items),
        STATUS_MEMBER: json.dumps(status, indent=1, ensure_ascii=False) + "\n",
    }


def key_status(
    items: Sequence[OutboxItem],
    ring: KeyRing | None,
    pseudonym_id: str | None,
    exported: str | None,
) -> dict[str, object]:
    """Return what may be known about the keys; arguments as `configmap_data`."""
    by_digest = {item.digest: item for item in items}
    chains = key_chains(item.token for item in items)
    return {
        "identity": None if ring is None else _identity(ring),
        "pseudonym": None if pseudonym_id is None else {"keyId": pseudonym_id},
        "exportTime": exported,
        "keyChains": [
            _chain(chain_id, statements, by_digest, ring) for chain_id, statements in chains.items()
        ],
    }


def keys_exported(ring: KeyRing, pseudonym_id: str, *, wanted: bool) -> Verdict | None:
    """Return the condition ``KeysExported``; None: these keys were exported, or need not be.

    Args:
        ring: The identity's keys.
        pseudonym_id: Public name of the pseudonym key.
        wanted: Whether the settings say that keys are backed up by exports.
    """
    if not wanted or ring.exported_at(pseudonym_id) is not None:
        return None
    since = "other keys were" if ring.exported else "no key ever was"
    return Verdict(
        Status.FALSE,
        Reason.KEYS_NOT_EXPORTED,
        f"The operator's keys were not exported ({since}). If their Secrets are lost, nobody can "
        f"report as this installation, and who was counted in this cycle cannot be recognised. "
        f"Run kubectl licenseusage keys export -o keys.age; or, if the Secrets are backed up in "
        f"another way, set LICENSEUSAGE_KEYS_BACKUP=Elsewhere.",
    )


def placed(items: Sequence[OutboxItem]) -> list[Placed]:
    """Return the keys of one key chain by position.

    Args:
        items: Its statements by position, of the ledger.
    """
    return [
        Placed(KeyStatement.from_token(item.token).brings.thumbprint, receipted(item))
        for item in items
    ]


def receipted(item: OutboxItem) -> bool:
    """Whether the vendor has accepted a document, be it that it is sent again since."""
    again = item.state in (Delivery.PENDING, Delivery.SENDING)
    return item.state is Delivery.ACCEPTED or (again and item.receipt is not None)


def _identity(ring: KeyRing) -> dict[str, object]:
    following = ring.following
    return {
        "keyId": ring.current.kid,
        "nextKeyId": None if following is None else following.kid,
        "rotation": ring.wanted if ring.rotating else None,
    }


def _chain(
    chain_id: str,
    statements: Sequence[KeyStatement],
    by_digest: dict[str, OutboxItem],
    ring: KeyRing | None,
) -> dict[str, object]:
    sent = statements[0].sent
    documents = [by_digest[statement.sent.subject.digest] for statement in statements]
    signer = None if ring is None else ring.signer(placed(documents))
    return {
        "chainId": chain_id,
        "vendor": sent.vendor,
        "subscription": sent.subscription,
        "installation": sent.installation,
        "signs": None if signer is None else signer.kid,
        "statements": [
            {
                "sequence": statement.sent.subject.sequence,
                "kind": str(document.kind),
                "time": rfc3339(1000 * statement.issued_at_s),
                "keyId": statement.brings.thumbprint,
                **({} if statement.reason is None else {"reason": statement.reason}),
                "delivery": str(document.state),
                "receiptTime": (
                    None if document.accepted_ms is None else rfc3339(document.accepted_ms)
                ),
                "digest": document.digest,
            }
            for statement, document in zip(statements, documents, strict=True)
        ],
    }
