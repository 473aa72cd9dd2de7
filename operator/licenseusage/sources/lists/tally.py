"""The rows of a listing: who is skipped and why, who was active, under which pseudonym.

Raw ids live here for the length of one call of ``add``; what is kept of a user is a pseudonym per
cycle and a time. Values are thrown away by time before any id is hashed (MEASUREMENT §3,
``metering.facts.horizon_ms``).
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import compress, repeat
from operator import add, not_

from licenseusage.metering.cycles import Cycle
from licenseusage.metering.facts import Facts, horizon_ms, latest_value_ms
from licenseusage.metering.packing import unpacked
from licenseusage.metering.pseudonym import Pseudonymiser
from licenseusage.reasons import Reason
from licenseusage.sources.definition import timestamps
from licenseusage.sources.definition.expressions import Json
from licenseusage.sources.definition.guarantees import Ids, Order
from licenseusage.sources.definition.model import EffectiveSource
from licenseusage.sources.definition.paging import OnePage
from licenseusage.sources.ids import UUID, Spellings, normalizer
from licenseusage.sources.lists.columns import Columns
from licenseusage.sources.lists.distinct import Distinct
from licenseusage.sources.lists.everybody import Everybody
from licenseusage.sources.lists.explained import Explained
from licenseusage.sources.lists.facts import ListPoll, as_coarse_as, facts_of
from licenseusage.sources.lists.kept import NO_CREATION, Kept
from licenseusage.sources.lists.naming import Named, Naming
from licenseusage.sources.lists.plausible import Plausible
from licenseusage.sources.lists.refusals import bad_ids, bad_stamp
from licenseusage.sources.lists.steps import LONGEST_DAY_MS
from licenseusage.sources.poll import CycleRequest


class Tally:
    """Collects the rows of one listing for one or two cycles.

    Attributes:
        listed: Items seen, overlap rows not counted again.
        skipped: Items not counted in the newest cycle, by reason.
        plausible: What the last activities of these items can be.
        spellings: Ids of those active lately that may be one, written in two ways.
        ids: Ids in the newest cycle; only where they are asked for.
        unnamed: Items that were active lately and have no id: nobody can count them.
        unreadable: Likewise with an id that is no text.
        explained: Why users were counted or skipped; None: nobody asks.
    """

    def __init__(
        self,
        source: EffectiveSource,
        cycles: Sequence[CycleRequest],
        pseudonymiser: Callable[[Cycle], Pseudonymiser],
        known: Callable[[Cycle], Named | None] = lambda _: None,
        *,
        show_ids: bool = False,
        explain: Callable[[Cycle, Pseudonymiser], Explained] | None = None,
    ) -> None:
        """Prepare; ``cycles`` oldest first, at least one of them begun.

        Args:
            source: What is read.
            cycles: What is wanted of it.
            pseudonymiser: Makes that of a cycle.
            known: What is remembered of the list, for a cycle.
            show_ids: Keep ids.
            explain: Makes what keeps why users were counted or skipped, which takes much longer.
        """
        users = source.users
        self._source = source
        self._properties = source.properties
        self._cycles = tuple(cycles)
        self._pseudonyms = [pseudonymiser(request.cycle) for request in cycles]
        # How coarse the times are is known at the end only: until then all rows are kept that would
        # matter if each were a whole day (``steps``).
        wide = as_coarse_as(self._properties, LONGEST_DAY_MS)
        self._horizons = [horizon_ms(request.part, wide) for request in cycles]
        self._kept = [Kept() for _ in cycles]
        self._everybody = [
            Everybody(Naming(pseudonym, known(request.cycle))) if request.roster else None
            for request, pseudonym in zip(cycles, self._pseudonyms, strict=True)
        ]
        begun = [request for request in cycles if not request.coming]
        self._newest = begun[-1].cycle
        self._reader = timestamps.reader(users.last_active)
        pseudonyms = self._pseudonyms[self._cycles.index(begun[-1])]
        self.explained = explain(self._newest, pseudonyms) if explain else None
        self.plausible = Plausible(users, self._reader, min(self._horizons))
        self._normalize = normalizer(users.normalize)
        self._excluded_ids = {self._normalize(excluded_id) for excluded_id in users.exclude_ids}
        self._tolerance_ms = users.created_at.tolerance_ms if users.created_at else 0
        self.spellings = Spellings()
        self._telling_ids = source.guarantees.ids is Ids.UNKNOWN
        self._show_ids = show_ids
        self.unnamed = self.unreadable = 0
        # Pages by an ascending key refuse a repeated id themselves (``paging.rows``).
        paged = not isinstance(source.http.pagination, OnePage)
        self._ascending = paged and source.guarantees.order is Order.KEY_CURSOR
        self._shown = Distinct()
        chosen = users.exclude is not None or users.exclude_ids or users.normalize
        self._people = Distinct() if chosen else self._shown
        # A roster tells users apart as well, and is there anyway.
        self._roster = self._everybody[self._cycles.index(begun[-1])]
        self.ids: list[str] = []
        self.ids_stable = source.guarantees.ids is not Ids.RENAMABLE
        self.listed = 0
        self.skipped: Counter[Reason] = Counter()

    def start_page(self) -> None:
        """Note that the rows to come are from another page."""
        for kept in self._kept:
            kept.page_starts.append(len(kept))

    def add(self, columns: Columns) -> None:
        """Take items in the order of the listing.

        Raises:
            PollError: ``IdInvalid`` or ``TimestampInvalid``; the rows before stand.
        """
        columns = self.plausible.take(self._with_ids(self._counted(columns)))
        try:
            recent = self._reader.recent(columns.stamps, min(self._horizons))
            created = self._created(columns, recent)
        except timestamps.BadStampError as error:
            raise bad_stamp(self._source, error) from None

        never = columns.stamps.count(None)
        self.skipped[Reason.NEVER_ACTIVE] += never
        self.skipped[Reason.OUTSIDE_CYCLE] += len(columns) - never - len(recent.positions)
        names = self._names([columns.ids[index] for index in recent.positions])
        listed = self._normal(columns.ids) if any(self._everybody) else []
        for cycle in range(len(self._cycles)):
            self._keep(cycle, names, recent, created, listed, columns.stamps)
        counted = self._judge(names, recent.at_ms, created)
        if self.explained is not None:
            lately = dict(zip(recent.positions, recent.at_ms, strict=True))
            ids = self._normal(columns.ids)
            self.explained.take(
                ids, columns.stamps, lately, set(compress(recent.positions, counted))
            )

    def named(self) -> dict[Cycle, Named]:
        """Return the memory of the list, by cycle."""
        pairs = zip(self._cycles, self._everybody, strict=True)
        return {
            request.cycle: everybody.named()
            for request, everybody in pairs
            if everybody is not None
        }

    @property
    def included(self) -> int:
        """Items listed and not excluded."""
        return self.listed - self.skipped[Reason.EXCLUDED] - self.skipped[Reason.EXCLUDED_ID]

    def different(self) -> int:
        """Return how many different ids are listed, excluded ones too, as shown."""
        if self._ascending:
            return self.listed
        return self.provisioned() if self._people is self._shown else self._shown.different()

    def provisioned(self) -> int:
        """Return how many different users are listed and not excluded."""
        if self._ascending and self._people is self._shown:
            return self.listed
        if self._roster is not None:
            return self._roster.different() + self.skipped[Reason.NO_ID]
        return self._people.different()

    def lately(self) -> tuple[Iterable[bytes], Sequence[int]]:
        """Return who may matter to the newest cycle: pseudonyms, and when they were active."""
        kept = self._kept[[request.cycle for request in self._cycles].index(self._newest)]
        return unpacked(kept.users), kept.values

    def future(self, ended_ms: int, clock_skew_ms: int) -> tuple[int, int]:
        """Return how many rows lie after anything the poll could have seen, and how far, in ms."""
        latest = latest_value_ms(self._properties, ended_ms=ended_ms, clock_skew_ms=clock_skew_ms)
        ahead = [value - latest for value in self._kept[0].values if value > latest]
        return len(ahead), max(ahead, default=0)

    def facts(
        self, *, started_ms: int, ended_ms: int, clock_skew_ms: int, complete: bool, one_page: bool
    ) -> Iterator[Facts]:
        """Yield the facts of each cycle, one after the other: those of a large list are large.

        Args:
            started_ms: Poll's start, ms since the epoch.
            ended_ms: Poll's end.
            clock_skew_ms: k of MEASUREMENT §0.
            complete: The listing is complete (MEASUREMENT §3.6).
            one_page: Use the rows of one page only: ids may be renamed between pages (§3.8).
        """
        given = self._source.properties_given(ids_stable=self.ids_stable)
        properties = as_coarse_as(given, self.plausible.coarsest().found_ms())
        poll = ListPoll(
            started_ms=started_ms,
            ended_ms=ended_ms,
            clock_skew_ms=clock_skew_ms,
            complete=complete,
            # A request that names a cycle lists those active in it only.
            everybody=not self._source.http.names("cycle"),
        )
        for request, kept, everybody in zip(self._cycles, self._kept, self._everybody, strict=True):
            positions = kept.largest_page() if one_page else range(len(kept))
            yield facts_of(request, properties, kept, positions, everybody, poll)

    def _counted(self, columns: Columns) -> Columns:
        """Count the items; return those that are not excluded."""
        self.listed += len(columns)
        by_roster = self._roster is not None
        if not (self._ascending or (by_roster and self._people is self._shown)):
            self._shown.add(columns.ids)
        columns = self._not_excluded(columns)
        if not by_roster and self._people is not self._shown:
            self._people.add(self._told_apart(columns.ids))
        return columns

    def _not_excluded(self, columns: Columns) -> Columns:
        # Nearly every page has nobody to leave out: that is found without copying it.
        if columns.excluded is not None and True in columns.excluded:
            self.skipped[Reason.EXCLUDED] += sum(columns.excluded)
            self._set_aside(columns.only(columns.excluded), Reason.EXCLUDED)
            columns = columns.only(list(map(not_, columns.excluded)))
        if self._excluded_ids and not self._excluded_ids.isdisjoint(
            names := self._normal(columns.ids)
        ):
            named = [name not in self._excluded_ids for name in names]
            self._set_aside(columns.only(list(map(not_, named))), Reason.EXCLUDED_ID)
            self.skipped[Reason.EXCLUDED_ID] += len(named) - sum(named)
            columns = columns.only(named)
        return columns

    def _set_aside(self, columns: Columns, why: Reason) -> None:
        """Put excluded users on the rosters: listed they are, so that they are not missing.

        Beside how coarse their times are, nothing else is asked of them: a wrong time among theirs
        is no fault of the list.
        """
        self.plausible.aside(columns)
        if self.explained is not None:
            named_ones = (user_id for user_id in columns.ids if type(user_id) in (str, int))
            self.explained.aside(why, map(self._id, named_ones))
        if not any(self._everybody):
            return
        recent = self._lately(columns)
        named = [
            (self._id(user_id), position in recent)
            for position, user_id in enumerate(columns.ids)
            if type(user_id) in (str, int)
        ]
        lately, others = ([name for name, late in named if late is kind] for kind in (True, False))
        for everybody, pseudonyms in zip(self._everybody, self._pseudonyms, strict=True):
            if everybody is not None:
                everybody.set_aside(pseudonyms.each(lately), pseudonyms.each(others))

    def _lately(self, columns: Columns) -> set[int]:
        """Return who may have been active lately, by position: everybody if no time can be read."""
        try:
            return set(self._reader.recent(columns.stamps, min(self._horizons)).positions)
        except timestamps.BadStampError:
            return set(range(len(columns)))

    def _with_ids(self, columns: Columns) -> Columns:
        """Drop items without an id; the poll reports those that were active recently."""
        kinds = set(map(type, columns.ids))
        if not kinds <= {str, int, type(None)}:
            raise bad_ids(self._source, columns.ids)
        if type(None) not in kinds and "" not in columns.ids and not self._source.users.normalize:
            return columns
        named = [user_id is not None and self._id(user_id) != "" for user_id in columns.ids]
        if all(named):
            return columns
        self.skipped[Reason.NO_ID] += len(named) - sum(named)
        nameless = columns.only(list(map(not_, named)))
        lately = self._lately(nameless)
        broken = nameless.broken
        self.unreadable += sum(broken[position] for position in lately) if broken else 0
        self.unnamed += sum(not (broken and broken[position]) for position in lately)
        return columns.only(named)

    def _told_apart(self, ids: list[Json]) -> list[Json]:
        """Return ids in the form in which they are compared; other values stay as they are."""
        if not self._source.users.normalize:
            return ids
        return [self._id(user_id) if type(user_id) in (str, int) else user_id for user_id in ids]

    def _id(self, shown: Json) -> str:
        return self._normalize(shown if isinstance(shown, str) else str(shown))

    def _normal(self, shown: list[Json]) -> list[str]:
        whole = set(map(type, shown)) <= {str} and not self._source.users.normalize
        return shown if whole else list(map(self._id, shown))

    def _names(self, shown: list[Json]) -> list[str]:
        """Return ids as texts, normalised; notes whether they can be renamed."""
        names = self._normal(shown)
        self.spellings.add(names)
        if self._telling_ids:
            pairs = zip(shown, names, strict=True)
            if not all(type(user_id) is int or UUID.fullmatch(name) for user_id, name in pairs):
                self.ids_stable = False
        return names

    def _created(self, columns: Columns, recent: timestamps.Recent) -> list[int] | None:
        if columns.created is None:
            return None
        read = (self._reader.read(columns.created[index]) for index in recent.positions)
        spans = repeat(0) if recent.unsure_ms is None else recent.unsure_ms
        return [
            NO_CREATION if made is None or self._may_be(made, at_ms, span) else made.at_ms
            for made, at_ms, span in zip(read, recent.at_ms, spans, strict=False)
        ]

    def _may_be(self, made: timestamps.Instant, at_ms: int, span_ms: int) -> bool:
        """Whether an activity is not known to be another time than the creation.

        Only where one of them can be read as more than one time: else the rules of metering tell.
        """
        if not (span_ms or made.unsure_ms):
            return False
        earliest = made.at_ms - self._tolerance_ms - span_ms
        return earliest <= at_ms <= made.at_ms + made.unsure_ms + self._tolerance_ms

    def _keep(
        self,
        cycle: int,
        names: list[str],
        recent: timestamps.Recent,
        created: list[int] | None,
        listed: list[str],
        stamps: list[Json],
    ) -> None:
        """Keep the rows that may matter to a cycle, under that cycle's pseudonyms."""
        kept, everybody = self._kept[cycle], self._everybody[cycle]
        positions, values, unsure = recent
        horizon = self._horizons[cycle]
        latest = values if unsure is None else list(map(add, values, unsure))
        if latest and min(latest) < horizon:
            wanted = [value >= horizon for value in latest]
            names, values = list(compress(names, wanted)), list(compress(values, wanted))
            positions = list(compress(positions, wanted))
            unsure = None if unsure is None else list(compress(unsure, wanted))
            created = None if created is None else list(compress(created, wanted))
        for position, span in enumerate(unsure or (), len(kept)):
            if span:
                kept.unsure[position] = span
        if everybody is not None:
            kept.users += everybody.take(listed, stamps, positions)
        else:
            kept.users += b"".join(self._pseudonyms[cycle].each(names))
        kept.values.extend(values)
        kept.created.extend(created or ())

    def _judge(self, names: list[str], values: list[int], created: list[int] | None) -> list[bool]:
        """Count those who are not in the newest cycle, by reason; return who is in it."""
        newest = self._newest
        inside = [newest.start_ms <= value < newest.end_ms for value in values]
        self.skipped[Reason.OUTSIDE_CYCLE] += len(inside) - sum(inside)
        if created is not None:
            only = [
                within and abs(value - made) <= self._tolerance_ms
                for within, value, made in zip(inside, values, created, strict=True)
            ]
            self.skipped[Reason.ONLY_CREATED] += sum(only)
            inside = [within and not fresh for within, fresh in zip(inside, only, strict=True)]
        if self._show_ids:
            self.ids.extend(compress(names, inside))
        return inside
