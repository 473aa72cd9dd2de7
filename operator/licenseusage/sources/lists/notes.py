"""Hints about a list's exclusions, and about the account that reads it.

Nothing here changes a number. An exclusion that leaves nobody out is likely misspelled, and then
the count is too high by whom it meant; so it is where the collector's own account is among the
people. Ids are personal: an entry is told by its place in the source, an account by its Secret.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from licenseusage.metering.cycles import Cycle
from licenseusage.sources.definition.auth import BasicAuth, Login
from licenseusage.sources.definition.expressions import Json, expression, predicate
from licenseusage.sources.definition.model import EffectiveSource
from licenseusage.sources.definition.timestamps import BadStampError, reader
from licenseusage.sources.ids import normalizer
from licenseusage.sources.lists.columns import Columns
from licenseusage.sources.poll import Credentials

MOST_MOVED = 64
"""More users than this, active while a poll ran, tell nothing about one account."""

POLLS_ALIKE = 6
"""So many polls in a row with one user active at each: by chance that is once in a million."""

_SHOWN = 3


def account_to_read(source: EffectiveSource) -> str | None:
    """Return the path of the user name, where the collector's own may be among them.

    It costs time to decode, so not where ``exclude`` looks at it already, as it should.
    """
    if source.account is None or not isinstance(source.auth, BasicAuth | Login):
        return None
    exclude = source.users.exclude
    read = predicate(exclude).paths if exclude is not None else ()
    return None if read and expression(source.account).path in read else source.account


class Watch:
    """Looks at the rows of one poll, in whichever pass and page they come."""

    def __init__(
        self, source: EffectiveSource, credentials: Credentials | None, newest: Cycle
    ) -> None:
        """Prepare.

        Args:
            source: Whose list is read.
            credentials: With a user name, where the source signs in with one.
            newest: The cycle whose users are counted.
        """
        users = source.users
        self._source, self._newest = source, newest
        self._normalize = normalizer(users.normalize)
        self._places: dict[str, list[int]] = {}
        for place, name in enumerate(users.exclude_ids):
            self._places.setdefault(self._normalize(name), []).append(place)
        self._unseen = set(self._places)
        self._stamps = reader(users.last_active)
        self._listed = 0
        self._matched = False
        own = isinstance(source.auth, BasicAuth | Login) and credentials is not None
        self._own = credentials.username if own and credentials else None
        self._own_counts = False

    def see(self, columns: Columns) -> None:
        """Look at some rows, before anybody is left out."""
        self._listed += len(columns)
        if columns.excluded is not None and not self._matched:
            self._matched = any(columns.excluded)
        if self._unseen:
            self._unseen -= self._seen_in(columns.ids)
        if self._own and not self._own_counts:
            self._own_counts = any(self._counts(columns, at) for at in self._own_rows(columns))

    def notes(self, *, complete: bool) -> tuple[str, ...]:
        """Return sentences, each beginning with the source's name.

        Args:
            complete: The list is complete, so that whoever was not seen is not on it.
        """
        sentences: list[str] = []
        if complete and self._unseen:
            sentences.append(self._nobody_left_out())
        if complete and self._listed and self._source.users.exclude and not self._matched:
            sentences.append(
                f"users.exclude matches none of {self._listed} users. Compare it with what the "
                "product answers."
            )
        if self._own_counts:
            sentences.append(
                f"the collector's own account, that of {self._secret}, is counted as a person. "
                "Leave it out by users.exclude or users.excludeIds."
            )
        return tuple(f"Source {self._source.name}: {sentence}" for sentence in sentences)

    @property
    def _secret(self) -> str:
        auth = self._source.auth
        return f"Secret {auth.secret_name}" if auth is not None else "its Secret"

    def _seen_in(self, ids: Sequence[Json]) -> set[str]:
        names = self._names(ids)
        return {name for name in self._unseen if _place(name, names) is not None}

    def _names(self, ids: Sequence[Json]) -> Sequence[Json]:
        if not self._source.users.normalize:
            return ids  # a million are searched in no time, and would be copied in a second
        return [None if user_id is None else self._normalize(str(user_id)) for user_id in ids]

    def _own_rows(self, columns: Columns) -> Iterator[int]:
        """Yield the first row with the collector's user name as account, and as id."""
        if self._own is None:
            return
        own_id = _place(self._normalize(self._own), self._names(columns.ids))
        for place in (_place(self._own, columns.accounts or ()), own_id):
            if place is not None:
                yield place

    def _counts(self, columns: Columns, at: int) -> bool:
        """Whether a row is one of those that are counted in the newest cycle."""
        shown = columns.ids[at]
        if columns.excluded is not None and columns.excluded[at]:
            return False
        if shown is None or self._normalize(str(shown)) in self._places:
            return False
        if not self._source.users.timed:
            return True  # whoever is listed was active lately
        try:
            seen = self._stamps.read(columns.stamps[at])
        except BadStampError:
            return False
        return seen is not None and self._newest.start_ms <= seen.at_ms < self._newest.end_ms

    def _nobody_left_out(self) -> str:
        places = sorted(place for name in self._unseen for place in self._places[name])
        named = [f"users.excludeIds[{place}]" for place in places[:_SHOWN]]
        if len(places) > _SHOWN:
            named.append(f"{len(places) - _SHOWN} more")
        single = len(places) == 1
        which = named[0] if single else f"{', '.join(named[:-1])} and {named[-1]}"
        return (
            f"{which} {'is' if single else 'are'} on nobody's row of a complete list, so nobody is "
            "left out by that. Correct the id, or remove it."
        )


def _place(name: str, shown: Sequence[Json]) -> int | None:
    """Return the position of an id, whether it is shown as a text or as a number."""
    for spelling in (name, int(name) if name.isdecimal() else None):
        if spelling is not None and spelling in shown:
            return shown.index(spelling)
    return None


@dataclass(frozen=True, slots=True)
class Companions:
    """Users who were active whenever we were: in the end that is the account that reads the list.

    Attributes:
        users: Pseudonyms of those active at each of the polls.
        polls: How many polls in a row.
        last: Start and end of the last poll, ms since the epoch.
    """

    users: frozenset[bytes] = frozenset()
    polls: int = 0
    last: tuple[int, int] | None = None

    def after(
        self, moved: Collection[bytes], poll: tuple[int, int], interval_ms: int
    ) -> "Companions":
        """Return what is left after one more poll, at which these were active.

        A poll that follows closely says nothing: it meets everybody who is at work.
        """
        if self.last is not None and poll[0] - self.last[0] < interval_ms // 2:
            return replace(self, last=poll)
        still = self.users.intersection(moved)
        if still:
            return Companions(still, self.polls + 1, poll)
        return Companions(frozenset(moved), 1 if moved else 0, poll)

    def note(self, source: str) -> str | None:
        """Return a sentence once one user is left who was active at so many polls."""
        if len(self.users) != 1 or self.polls < POLLS_ALIKE:
            return None
        return (
            f"Source {source}: one of the people counted was active at each of the last "
            f"{self.polls} polls, as the account is that reads the list. If it is the collector's, "
            "leave it out by users.exclude or users.excludeIds."
        )


def moved_with(
    polls: Iterable[tuple[int, int]], users: Iterable[bytes], values: Sequence[int], within_ms: int
) -> tuple[bytes, ...]:
    """Return the users whose stamp lies in one of the polls; none where they are too many.

    Args:
        polls: Start and end of this poll and of the one before, ms since the epoch. The product may
            show an access only after it has made the answer.
        users: Pseudonyms of those active lately.
        values: When each was active, start of the stamp's granule.
        within_ms: How far a stamp may be from when it was: granularity and clock difference.
    """
    spans = [(start - within_ms, end + within_ms) for start, end in polls]
    moved = [
        user
        for user, value in zip(users, values, strict=True)
        if any(start <= value <= end for start, end in spans)
    ]
    return tuple(moved) if len(moved) <= MOST_MOVED else ()
