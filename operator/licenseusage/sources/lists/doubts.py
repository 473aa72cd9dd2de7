"""Contradictions of a listing against its own completeness (MEASUREMENT §3.10).

That a list is whole is promised by somebody who is not there; the answer itself is. Whatever in it
contradicts the promise ends the proof: rows that are there stay true, nobody is ruled out by not
being there. Pure decisions over what was read; ``collect`` asks them of every listing that ended.
"""

from licenseusage.errors import Failure
from licenseusage.reasons import Reason
from licenseusage.sources.definition.guarantees import Order
from licenseusage.sources.definition.model import DAY_MS, EffectiveSource
from licenseusage.sources.definition.paging import (
    Cursor,
    HeaderCursor,
    Linked,
    Numbered,
    Offset,
    OnePage,
)
from licenseusage.sources.http.said import Said
from licenseusage.sources.lists.paging.offsets import OFFSETS_FROM_1
from licenseusage.sources.lists.repeated import Twice
from licenseusage.sources.lists.steps import HOUR_MS, Steps
from licenseusage.sources.lists.tally import Tally

ROUND_CAPS = frozenset({50, 100, 200, 250, 500, 1000, 5000, 10_000})
"""Sizes at which products are known to cut a list that nobody asked in pages."""

HIDING = frozenset({Reason.LIST_CUT, Reason.ANSWER_AMBIGUOUS, Reason.END_UNSEEN})
"""Doubts that say that more users are there than were listed: how many is not known then."""


def ambiguous(twice: Twice | None) -> Failure | None:
    """A member occurs twice, so another list or another user may be hidden."""
    if twice is None:
        return None
    member = twice.member
    if twice.in_row:
        return _doubt(
            Reason.ANSWER_AMBIGUOUS,
            f"a user's row holds the member {member} twice, so that it is not known which of them "
            "counts. Correct the product, or name another member in users.",
        )
    return _doubt(
        Reason.ANSWER_AMBIGUOUS,
        f"the answer holds the member {member} twice in one object, so that it is not known which "
        "of them is the list, or whether both are. Correct the product, or name another member in "
        "http.items.",
    )


def repeated(source: EffectiveSource, rows: int, different: int, pages: int) -> Failure | None:
    """Fewer different ids than rows: a repeated row took somebody's place (§3.10 a)."""
    if different >= rows:
        return None
    refuted = ""
    if source.guarantees.order is Order.IMMUTABLE_KEY and pages > 1:
        refuted = (
            " This refutes guarantees.order ImmutableKey: in such an order no user comes twice."
        )
    elif source.http.pagination.total is not None:
        refuted = (
            f" So the total ({source.http.pagination.total}) counts rows, and {rows - different} "
            "users may be missing from them."
        )
    match source.http.pagination:
        case Offset(first=0) if pages > 1 and source.guarantees.order is Order.UNKNOWN:
            refuted += f" {OFFSETS_FROM_1}"
    return _doubt(
        Reason.ROWS_REPEATED,
        f"the list has {rows} rows, but only {different} different ids: each repeated row may "
        f"stand in the place of a user who is not listed.{refuted} Sort by an immutable key, ask "
        "for one row per user, or correct users.id.",
    )


def cut(source: EffectiveSource, rows: int, extent: Said) -> Failure | None:
    """The answer says that there are more users than were read (§3.10 b)."""
    if extent.more is not None:
        seen = f"the answer says that more follows ({extent.more})"
    elif extent.total is not None and extent.total.users > rows:
        seen = f"the answer says that there are {extent.total.users} users ({extent.total.where})"
    else:
        return None
    match source.http.pagination:
        case OnePage():
            ended, fix = (
                f"but {rows} users were read, and no pages are declared",
                "Declare how the pages are read in http.pagination, or ask for "
                "all users in one answer by http.query",
            )
        case _:
            ended, fix = (
                f"but the pages ended after {rows} users",
                "Correct http.pagination, or check what the account may see",
            )
    return _doubt(
        Reason.LIST_CUT,
        f"{seen}, {ended}: the list is cut. {fix}. If this means something else here, name it in "
        "http.ignoreMembers.",
    )


def open_end() -> Failure:
    """An answer of lines ended with its connection: whether it was whole is not known."""
    return _doubt(
        Reason.END_UNSEEN,
        "the answer has neither a Content-Length nor chunks (or two lengths), so that it ends "
        "where the connection ends: lines may be missing, and nothing shows it. Ask the product "
        "itself instead of a proxy that changes answers, or read a format of one document.",
    )


def unreadable(source: EffectiveSource, users: int, rows: int) -> Failure | None:
    """Active users whose id is no text: they are people, and nobody can tell which."""
    if not users:
        return None
    return _doubt(
        Reason.ID_UNREADABLE,
        f"{users} of {rows} users were active lately and have an id at users.id "
        f"({source.users.id}) that is no text: not UTF-8, or half of a surrogate pair (\\ud83d "
        "alone). They are skipped as NoId, so the number is what is sure without them. Correct "
        "these accounts in the product, or read another id.",
    )


def no_overlap(source: EffectiveSource, pages: int, *, passes: int) -> Failure:
    """Pages that cannot overlap show nothing of what moved between two of them (§3.6)."""
    match source.http.pagination:
        case Offset():
            fix = "Sort by an immutable key and declare it in guarantees.order"
        case Cursor() | HeaderCursor(counts_pages=False):
            order = source.guarantees.order
            declared = f" (guarantees.order is {order}, which is for offsets)" * (
                order is not Order.UNKNOWN
            )
            fix = (
                "Pages of a cursor prove something only if the ids ascend over all of them"
                f"{declared}: sort by the id and declare guarantees.order KeyCursor"
            )
        case _:
            fix = (
                "A poll at the cycle's end reads them again until two passes name the same users "
                "in the same order: sort by an immutable key"
            )
    return _doubt(
        Reason.CANNOT_OVERLAP,
        f"the list has {pages} pages which cannot overlap, so a user may have moved between two of "
        f"them unseen ({passes} {'passes' if passes > 1 else 'pass'} read). {fix}, or ask for one "
        "page.",
    )


def round_number(source: EffectiveSource, rows: int, extent: Said, pages: int) -> str | None:
    """Return a hint where a list ends just where products like to cut, and nothing vouches."""
    pagination = source.http.pagination
    vouched = extent.total is not None or extent.ended or pagination.total is not None
    match pagination:
        case OnePage():
            one_page = True
        case Linked(path=None) | HeaderCursor():  # a proxy may drop the header
            one_page = pages == 1
        case _:
            one_page = False
    if not one_page or vouched or rows not in ROUND_CAPS:
        return None
    return (
        f"the list has exactly {rows} users, a usual limit of one answer, and nothing in the "
        "answer says that it is whole. Check in the product how many there are; if there are more, "
        "correct http.pagination, or ask for all by http.query."
    )


def coarse(source: EffectiveSource, steps: Steps) -> str | None:
    """Return a hint where times are coarser than declared, or all the same."""
    path, found_ms = source.users.last_active.path, steps.found_ms()
    if steps.all_equal():
        return (
            f"all {steps.times} users have the same last activity at {path}, as after an import or "
            "where another time is shown: check users.lastActive.path. Each is taken as a whole "
            "day."
        )
    if found_ms <= source.users.last_active.granularity_ms:
        return None
    name = "Day" if found_ms >= DAY_MS else "Hour" if found_ms >= HOUR_MS else "Minute"
    return (
        f"all {steps.times} times at {path} lie on whole {name.lower()}s, so each is taken as a "
        f"whole {name.lower()}, whatever its notation shows. If that is how the product records "
        f"them, declare users.lastActive.granularity {name}."
    )


def may_miss_first(source: EffectiveSource) -> bool:
    """Whether a list looks empty if ``http.pagination.first`` is wrong: nothing states its size."""
    return isinstance(source.http.pagination, Numbered) and source.http.pagination.total is None


def nobody_listed(source: EffectiveSource) -> Failure:
    """The list is empty: as for an account that may not see it."""
    account = "the account in its Secret" if source.auth else "anonymous requests"
    first = (
        " An empty first page may also mean that the product counts its pages from another number "
        "than http.pagination.first: check it, or declare http.pagination.total."
        if may_miss_first(source)
        else ""
    )
    return _doubt(
        Reason.EMPTY_LISTING,
        "the product lists nobody at all, as it does for an account that may not list users. That "
        f"proves nothing; check the rights of {account}.{first}",
    )


def nobody_stamped(source: EffectiveSource, tally: Tally) -> Failure:
    """Nobody has a last activity: it is not known whether that is how it is."""
    return _doubt(Reason.NOBODY_STAMPED, _nobody(source, tally))


_UNRECORDED = (
    "it does not record activity (as where its accounts are in a read-only directory: let it write "
    "there, or read its event log)"
)


def _nobody(source: EffectiveSource, tally: Tally) -> str:
    where = source.users.last_active.path
    impossible, created = tally.plausible.impossible, tally.plausible.created
    if created:
        return (
            f"The last activity of {created} of {tally.provisioned()} users is their creation, "
            "and nobody has another one. Either nobody has used the product yet, or "
            f"{_UNRECORDED}, or users.lastActive.path ({where}) is wrong."
        )
    if impossible:
        return (
            f"None of {tally.provisioned()} users has a last activity: for {impossible} "
            f"of them {where} holds a value that no activity can have, such as the epoch or a "
            "time before the user's creation. Either nobody has used the product yet, or it "
            "does not record activity, or users.lastActive.path or format is wrong."
        )
    return source.when_nobody or (
        f"None of {tally.provisioned()} users has a last activity at {where}. Either nobody "
        f"has used the product yet, or {_UNRECORDED}, or users.lastActive.path is wrong."
    )


def spelled_twice(ids: int) -> str | None:
    """Return a hint where ids are the same but for the way in which Unicode writes a letter."""
    if not ids:
        return None
    those = (
        "1 id of those active lately is" if ids == 1 else f"{ids} ids of those active lately are"
    )
    return (
        f"{those} there in two spellings: a letter with an accent is one sign in one and two in "
        "the other, and each spelling counts as a person. If they are the same people, add NFC to "
        "users.normalize."
    )


def _doubt(reason: Reason, message: str) -> Failure:
    return Failure(reason, message)
