"""Why a list that was read to its end may not be the whole list: two chains of rules.

A list that is not the whole one rules nobody out by not naming him (MEASUREMENT §3.6, §3.10). Each
rule is a function of the source and a listing; the first that objects gives the reason.
"""

from collections.abc import Callable, Sequence
from typing import TypeAlias

from licenseusage.chain import first_answer
from licenseusage.errors import Failure
from licenseusage.reasons import Reason
from licenseusage.sources.definition.guarantees import Order
from licenseusage.sources.definition.model import EffectiveSource
from licenseusage.sources.lists import doubts
from licenseusage.sources.lists.passes import Listing

Rule: TypeAlias = Callable[[EffectiveSource, Listing], Failure | None]


def incomplete(source: EffectiveSource, listings: Sequence[Listing]) -> Failure | None:
    """Return why a poll without failure proves nothing about those it does not name.

    Args:
        source: What was read.
        listings: One for each cycle where the request names the cycle, else one; oldest first.
    """
    for listing in listings:
        if (doubt := first_answer(OF_EACH_LISTING, source, listing)) is not None:
            return doubt
    return first_answer(OF_THE_NEWEST, source, listings[-1])


def member_stands_twice(source: EffectiveSource, listing: Listing) -> Failure | None:
    """Another list, or another user, may hide behind a member of the same name."""
    return doubts.ambiguous(listing.twice)


def rows_are_repeated(source: EffectiveSource, listing: Listing) -> Failure | None:
    """A repeated row took somebody's place."""
    tally = listing.tally
    return doubts.repeated(source, tally.listed, tally.different(), listing.pages)


def answer_says_more(source: EffectiveSource, listing: Listing) -> Failure | None:
    """The answer contains a larger total, or says that more follows."""
    return doubts.cut(source, listing.tally.listed, listing.extent)


def end_is_unseen(source: EffectiveSource, listing: Listing) -> Failure | None:
    """Lines may be missing at the end of an answer."""
    return doubts.open_end() if listing.open_end else None


def ids_are_unreadable(source: EffectiveSource, listing: Listing) -> Failure | None:
    """People are listed whose ids are no texts."""
    tally = listing.tally
    return doubts.unreadable(source, tally.unreadable, tally.listed)


def pages_cannot_overlap(source: EffectiveSource, listing: Listing) -> Failure | None:
    """Neither its order nor two equal passes prove that nobody moved between two pages."""
    if listing.proves:
        return None
    return doubts.no_overlap(source, listing.pages, passes=len(listing.tallies))


def ids_may_be_renamed(source: EffectiveSource, listing: Listing) -> Failure | None:
    """A renamed user moves within the list, unless it is sorted by an immutable key."""
    immutable = source.guarantees.order is Order.IMMUTABLE_KEY
    if listing.tally.ids_stable or listing.pages <= 1 or immutable:
        return None
    return _failure(
        Reason.IDS_RENAMABLE,
        "ids may be renamed while the pages are read. Use an immutable id and declare "
        "guarantees.ids Stable, or sort by an immutable key.",
    )


def product_filters(source: EffectiveSource, listing: Listing) -> Failure | None:
    """The product was asked to leave out users who may have been active in the cycle."""
    http = source.http
    hides = http.names("cycle.start") and source.guarantees.hidden_seconds
    if not (http.names("cycle.end") or hides):
        return None
    return _failure(
        Reason.FILTERED_BY_PRODUCT,
        "the request asks the product to leave out users who may have been active in the "
        "cycle (those active again after its end, or hidden before its start). Filter by "
        "{{cycle.start}} or {{cycle.start.dayBefore}} only.",
    )


def nobody_is_listed(source: EffectiveSource, listing: Listing) -> Failure | None:
    """An empty list, though all were asked for, or of pages whose first number may be wrong."""
    if listing.tally.listed or (source.http.names("cycle") and not doubts.may_miss_first(source)):
        return None
    return doubts.nobody_listed(source)


def nobody_was_ever_active(source: EffectiveSource, listing: Listing) -> Failure | None:
    """Users are listed, none of them with a last activity."""
    tally = listing.tally
    if not source.users.timed or not tally.included:
        return None
    if source.http.names("cycle") or tally.plausible.stamped > 0:
        return None
    return doubts.nobody_stamped(source, tally)


OF_EACH_LISTING: tuple[Rule, ...] = (
    member_stands_twice,
    rows_are_repeated,
    answer_says_more,
    end_is_unseen,
    ids_are_unreadable,
    pages_cannot_overlap,
    ids_may_be_renamed,
)

OF_THE_NEWEST: tuple[Rule, ...] = (product_filters, nobody_is_listed, nobody_was_ever_active)


def _failure(reason: Reason, message: str) -> Failure:
    return Failure(reason, message)
