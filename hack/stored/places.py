"""Where the project stores something, who can read it, and how long it is kept.

Which fields a database, a kind or a Secret contains is read from the code that writes it; a field
without a purpose is an error. Only the files are named by hand.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from sqlalchemy import MetaData, Table

from hack.stored.group import Group, NoPurposeError
from hack.stored.ledger import TABLES as LEDGER
from hack.stored.receiver import TABLES as RECEIVER
from licenseusage.api import crd
from licenseusage.api.crd import Kind
from licenseusage.controller.rules.keysecrets import IDENTITY_MEMBERS, PSEUDONYM_MEMBERS
from licenseusage.controller.rules.keystatus import CONFIGMAP_MEMBERS
from licenseusage.controller.settings import Settings
from licenseusage.ledger.storage import schema as ledger
from licenseusage.receiver.store import schema as receiver

_SPEC_BY_OPERATOR = {"UsageReport"}
_KEPT = {
    "LicenseUsage": "as long as the object; overwritten at each look; `history` keeps 13 cycles",
    "UsageReport": "as long as the LicenseUsage; of interims the newest three",
    "UsageReceipt": "as long as the object, which whoever applied it deletes",
}


@dataclass(frozen=True, slots=True)
class Place:
    """A place where something is stored.

    Attributes:
        title: Its heading.
        readers: Where it is, and who can read it.
        groups: What is stored there.
    """

    title: str
    readers: str
    groups: tuple[Group, ...] = field(repr=False)


def places() -> tuple[Place, ...]:
    """Return every place.

    Raises:
        NoPurposeError: Naming the field.
    """
    return (
        Place(
            "The ledger (customer)",
            "A file on the operator's volume, for its owner only (mode 0600). Read by whoever may "
            "exec into the operator's pod or mount its volume, and by whoever holds a backup.",
            tables(ledger.metadata, LEDGER),
        ),
        Place(
            "Secrets and ConfigMaps (customer)",
            "In the operator's namespace. Secrets are read by whoever may read Secrets there; what "
            "is in the ConfigMap is public.",
            tuple(_members()),
        ),
        Place(
            "Objects (customer)",
            "In the namespace of the LicenseUsage. Read by whoever has Kubernetes' roles view, "
            "edit or admin there. Counts, times and names of objects; nobody's id, no pseudonym.",
            tuple(kinds()),
        ),
        Place(
            "Files (customer)",
            "Read by whoever may exec into the pod or mount the volume.",
            _FILES,
        ),
        Place(
            "The receiver's database (vendor)",
            "Read by whoever may read the vendor's database. Counts, times and names of objects; "
            "nobody's id, no pseudonym.",
            tables(receiver.metadata, RECEIVER),
        ),
    )


def tables(metadata: MetaData, purposes: Mapping[str, Group]) -> tuple[Group, ...]:
    """Return the tables of a database in the order in which they are declared.

    Args:
        metadata: The tables.
        purposes: Table -> what its columns are for.

    Raises:
        NoPurposeError: A table or column has no purpose, or there is no such one.
    """
    for unknown in purposes.keys() - metadata.tables.keys():
        raise NoPurposeError(f"there is no table {unknown}")
    return tuple(_table(table, purposes.get(table.name)) for table in metadata.tables.values())


def kinds(all_kinds: tuple[Kind, ...] = crd.KINDS) -> Iterator[Group]:
    """Yield what the operator writes into objects: every status, and the spec of UsageReports.

    Raises:
        NoPurposeError: A field has no description.
    """
    for kind in all_kinds:
        parts = ("spec", "status") if kind.name in _SPEC_BY_OPERATOR else ("status",)
        (version,) = crd.crd(kind)["spec"]["versions"]
        properties = version["schema"]["openAPIV3Schema"]["properties"]
        fields: dict[str, str] = {}
        for part in parts:
            fields |= dict(_walk(properties[part], part, kind.name))
        yield Group(kind.name, _written(parts), _KEPT[kind.name], fields)


def _written(parts: tuple[str, ...]) -> str:
    return f"its {' and '.join(parts)}, which only the operator writes"


def _table(table: Table, group: Group | None) -> Group:
    if group is None:
        raise NoPurposeError(f"table {table.name}: say in hack/stored what it is for")
    different = table.columns.keys() ^ group.fields.keys()
    if different:
        names = ", ".join(sorted(different))
        raise NoPurposeError(f"table {table.name}: {names}: say in hack/stored what it is for")
    return group


def _walk(schema: Mapping[str, object], path: str, kind: str) -> Iterator[tuple[str, str]]:
    """Yield the fields without fields of their own, with the first sentence of the description."""
    properties = schema.get("properties")
    assert isinstance(properties, dict)  # noqa: S101 - for the type checker
    for name, child in properties.items():
        here = f"{path}.{name}"
        description = child.get("description")
        if not description:
            raise NoPurposeError(f"{kind} {here}: say in description= what it is for")
        items = child.get("items", {})
        if "properties" in child:
            yield from _walk(child, here, kind)
        elif "properties" in items:
            yield from _walk(items, f"{here}[]", kind)
        else:
            yield here, _purpose(name, description)


def _purpose(name: str, description: str) -> str:
    first, stop, _ = description.partition(". ")
    sentence = first if stop else description.rstrip(".")
    return sentence.removeprefix(f"{name} is ").removeprefix(f"{name} ")


def _members() -> Iterator[Group]:
    names = Settings()
    by_hand = "until an administrator deletes it"
    yield Group(
        f"Secret {names.identity_secret}", "the installation's identity", by_hand, IDENTITY_MEMBERS
    )
    yield Group(f"Secret {names.pseudonym_secret}", "the pseudonym key", by_hand, PSEUDONYM_MEMBERS)
    yield Group(
        f"ConfigMap {names.key_statements_configmap}",
        "what everybody may know of the keys",
        "until an administrator deletes it; the operator writes it again",
        CONFIGMAP_MEMBERS,
    )


_FILES = (
    Group(
        "the ledger's folder",
        "the operator's volume",
        "as long as the volume",
        {
            "`ledger.sqlite`": "the ledger, see above",
            "`ledger.sqlite-wal`, `-shm`": "SQLite's log: what the ledger will contain; "
            "it also contains rows that were deleted, until SQLite writes over them",
            "`ledger.sqlite.lock`": "empty; whoever has it locked may write the ledger",
            "`ledger.sqlite.persons`": "who asked for which person and when (see above): your name "
            "for the API server, and a keyed name of the person, the same for every request",
            "`ledger.sqlite.restoring`": "empty; a restore was begun",
            "`ledger.sqlite.schema-N.backup`": "the ledger as before an upgrade of its tables; "
            "**delete it when it is not needed any more**",
        },
    ),
    Group(
        "backups",
        "made by `licenseusage ledger backup` or by a snapshot of the volume",
        "until you delete them: **facts that the ledger has deleted are still in them**",
        {"the whole ledger": "see above"},
    ),
    Group(
        "bundles",
        "written by `report export` and the component `export`",
        "until they are receipted, or until you delete them",
        {"signed documents": "reports and key statements as in the outbox; counts only"},
    ),
    Group(
        "statements",
        "written by `statement` and the component `statement`",
        "until you delete them",
        {"HTML, CSV and JSON": "what signed reports say, for people; counts only"},
    ),
)
