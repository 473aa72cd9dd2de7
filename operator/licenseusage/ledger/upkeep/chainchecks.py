"""Are the signed documents in order: chains without a hole, every link, signature and final."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from sqlalchemy import Connection, Row, select

from licenseusage.ledger.documents.records import Delivery, ReportKind
from licenseusage.ledger.storage.encoding import load_statement
from licenseusage.ledger.storage.schema import chains, commitments, cycles, outbox
from licenseusage.reports.content import content_of
from licenseusage.reports.keys import InstallationKey, InstallationKeys, PublicKey
from licenseusage.reports.names import commitment_to, digest, jti_of
from licenseusage.reports.refused import Refused
from licenseusage.reports.report import read_report
from licenseusage.reports.tokens import decode, open_token
from licenseusage.reports.typs import ENROLMENT, REPORT, SUCCESSION

Document = Row[tuple[object, ...]]


def check_chains(connection: Connection) -> tuple[list[str], str]:
    """Return every fault of the chains, and a sentence about the checked documents."""
    known = connection.execute(select(chains).order_by(chains.c.key_chain_id.is_not(None))).all()
    keys: dict[str, InstallationKeys] = {}
    faults: list[str] = []
    count = 0
    for chain in known:  # key statements first: they verify the others
        documents = _documents(connection, chain.id)
        count += len(documents)
        faults_here = [*_links(documents), *_acknowledged(chain, documents)]
        if chain.key_chain_id is None:
            keys[chain.id], unproved = _keys(documents)
            faults_here += unproved
        else:
            faults_here += _signatures(documents, keys.get(chain.key_chain_id, {}))
        faults += [f"chain {chain.id[:8]}: {fault}" for fault in faults_here]
    faults += _finals(connection)
    stopped = [f"{chain.id[:8]} ({chain.stopped})" for chain in known if chain.stopped]
    also = f"; stopped until a person decides: {', '.join(stopped)}" if stopped else ""
    return faults, f"{count} signed documents in {len(known)} chains without a hole{also}"


def check_commitments(connection: Connection) -> tuple[list[str], str]:
    """Check that whom a report counted is kept as the report commits to it; as `check_chains`."""
    query = select(commitments.c.salt, commitments.c.users, outbox.c.jti, outbox.c.token)
    faults, count = [], 0
    for row in connection.execute(query.join(outbox).execution_options(yield_per=1)):
        count += 1
        try:
            stated = read_report(row.token).content.commitment
        except Refused as refused:
            faults.append(f"report {row.jti} cannot be read ({refused.error})")
            continue
        if stated != commitment_to(row.salt, row.users):
            faults.append(f"report {row.jti} commits to other users than are kept")
    return faults, f"{count} lists of those counted, as reports commit to them"


def _documents(connection: Connection, chain_id: str) -> Sequence[Document]:
    query = select(outbox).filter_by(chain_id=chain_id).order_by(outbox.c.sequence)
    return connection.execute(query).all()


def _links(documents: Sequence[Document]) -> Iterator[str]:
    """Positions from 1 without a hole, names and digests that fit, each link to the one before."""
    for position, row in enumerate(documents, 1):
        if row.sequence != position:
            yield f"position {position} is missing, {row.sequence} follows"
            return
    for row in documents:
        if row.jti != jti_of(row.chain_id, row.sequence):
            yield f"document {row.sequence} is named {row.jti}"
        if not row.token.isascii() or digest(row.token) != row.digest:
            yield f"document {row.sequence} is not what its digest says"
    claimed = [_previous(row) for row in documents]
    if claimed and claimed[0] not in (None, ""):
        yield "document 1 follows another"
    for (before, row), previous in zip(pairwise(documents), claimed[1:], strict=True):
        if previous not in (before.digest, ""):
            yield f"document {row.sequence} does not follow document {before.sequence}"


def _previous(row: Document) -> object:
    """Return the digest that a document names as the one before; "" if it cannot be read."""
    try:
        chain = decode(row.token)[1].get("chain")
    except Refused:
        return ""
    return chain.get("previous") if isinstance(chain, Mapping) else ""


def _acknowledged(chain: Document, documents: Sequence[Document]) -> Iterator[str]:
    position = chain.acknowledged_sequence
    if position is None:
        return
    named = [row for row in documents if row.sequence == position]
    if not named or named[0].digest != chain.acknowledged_digest:
        yield f"the vendor acknowledged document {position}, which is not the one held"


def _keys(statements: Sequence[Document]) -> tuple[dict[str, InstallationKey], list[str]]:
    """Return the installation's keys as its own statements prove them."""
    keys: dict[str, InstallationKey] = {}
    for rank, row in enumerate(statements, 1):
        try:
            if row.kind == ReportKind.ENROLMENT:
                public = open_token(row.token, ENROLMENT, {}).public
                installation = public.installation
            else:
                claims = open_token(row.token, SUCCESSION, keys).claims
                named = claims.get("cnf")
                public = PublicKey.from_jwk(named.get("jwk") if isinstance(named, Mapping) else "")
                installation = next(iter(keys.values())).installation
        except Refused as refused:
            return keys, [f"document {row.sequence}: {refused.reason}: {refused.message}"]
        keys[public.thumbprint] = InstallationKey(public, installation, rank=rank)
    return keys, []


def _signatures(documents: Sequence[Document], keys: InstallationKeys) -> Iterator[str]:
    if documents and not keys:
        yield "no key statement is here that its signatures could be checked with"
        return
    for row in documents:
        try:
            open_token(row.token, REPORT, keys)
        except Refused as refused:
            yield f"document {row.sequence}: {refused.reason}: {refused.message}"


def _finals(connection: Connection) -> Iterator[str]:
    """One final of each cycle, of a cycle that is Final, which says what was stated."""
    query = (
        select(outbox, cycles.c.cycle_index, cycles.c.state.label("cycle_state"))
        .add_columns(cycles.c.statement)
        .join(cycles, cycles.c.id == outbox.c.cycle_id)
        .where(outbox.c.kind == ReportKind.FINAL)
        .order_by(outbox.c.cycle_id, outbox.c.sequence)
    )
    counted: dict[int, int] = {}
    for row in connection.execute(query):
        what = f"final report {row.sequence} of cycle {row.cycle_index}"
        # A signed refusal holds its place in the chain and counts as none (REPORT_FORMAT §6).
        if row.state != Delivery.REJECTED or row.receipt is None:
            counted[row.cycle_id] = counted.get(row.cycle_id, 0) + 1
            if counted[row.cycle_id] > 1:
                yield f"{what} is a second one"
        if row.cycle_state != "Final":
            yield f"{what} was made, and the cycle is {row.cycle_state}"
            continue
        try:
            content = content_of(decode(row.token)[1])
            bounds = load_statement(row.statement).bounds
        except (Refused, ValueError, KeyError, TypeError):
            continue  # told above, or with the statements
        stated = (bounds.active_users, bounds.active_users_upper_bound)
        if (content.active_users, content.active_users_upper_bound) != stated:
            yield f"{what} says another number than the cycle's statement"
