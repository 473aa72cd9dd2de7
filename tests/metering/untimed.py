"""A list without times, read again and again: what the ledger does, in memory."""

from dataclasses import replace

from licenseusage.metering.cycles import CYCLE_MASK, Cycle, Segment
from licenseusage.metering.facts import Facts, without_sure
from licenseusage.metering.packing import packed
from licenseusage.metering.polled import Polled
from licenseusage.metering.properties import Properties
from licenseusage.metering.rolling import (
    ListBefore,
    appeared_word,
    must_list_again,
    must_stay,
    plausible,
    rolling_facts,
)
from licenseusage.metering.roster import Listed, Run, joined_runs


class Lists:
    """The lists of one source, oldest first.

    Attributes:
        forgets: Somebody left and came back.
    """

    def __init__(self, cycle: Cycle | Segment, properties: Properties) -> None:
        self.cycle, self.properties = cycle, properties
        self.forgets = False
        self._ever: set[bytes] = set()
        self._last: set[bytes] = set()
        self._sure: set[bytes] = set()
        self._polled: Polled | None = None
        self._runs: tuple[Run, ...] = ()

    def read(self, polled: Polled, users: set[bytes], excluded: tuple[bytes, ...] = ()) -> Facts:
        """The facts of one poll, held against the lists before it."""
        listed = Listed((), (), (), packed(users), aside=excluded)
        found = rolling_facts(self.cycle, self.properties, polled, listed)
        if not polled.complete:
            return found
        names = users | set(excluded)
        if self._polled is not None and self.properties.ids_stable:
            added, gone = names - self._last, self._last - names
            self.forgets |= bool(added & self._ever)
            before = ListBefore(self._polled.began_ms, self._polled.read_ms, self._runs)
            if gone and must_list_again(self.properties, before, polled):
                found = replace(found, refuted=CYCLE_MASK)
            stays = must_stay(self.cycle, self.properties, before, polled)
            if stays and not gone.isdisjoint(self._sure):
                found = replace(found, refuted=CYCLE_MASK)
            new = added & users - self._ever
            word = appeared_word(self.cycle, self.properties, polled, before)
            if word and new and plausible(len(new), len(self._last)):
                sure = dict.fromkeys(new, word)
                found = replace(found, sure=sure, maybe=without_sure(found.maybe, sure))
        self._sure |= found.sure.keys()
        self._ever |= users
        self._last, self._polled = names, polled
        self._runs = joined_runs((*self._runs, Run(polled.read_ms, polled.began_ms)), 3_600_000)
        return found
