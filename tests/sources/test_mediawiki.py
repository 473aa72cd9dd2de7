"""MediaWiki's list of active users as its API answers: names and numbers, and no times."""

from hack.presets.example import example_object, example_source
from licenseusage.api.source import Source
from licenseusage.metering.bounds import Accuracy
from licenseusage.sources.definition.attainable import attainable
from licenseusage.sources.definition.presets import effective, presets
from licenseusage.sources.definition.windowed import list_reaches
from tests.sources.product import answer, poll

NAMES = ["Ann", "Bob", "Eve", "MediaWiki default", "Zoe"]
SIZE = 2


def wiki(asked):
    """As https://www.mediawiki.org/wiki/API:Allusers has it, with pages of two."""
    given = dict(asked.query)
    assert (given["list"], given["auactiveusers"], given["auexcludegroup"]) == (
        "allusers",
        "1",
        "bot",
    )
    names = [name for name in NAMES if name >= given.get("aufrom", "")]
    rows = [
        {"userid": NAMES.index(name) + 1, "name": name, "recentactions": 3} for name in names[:SIZE]
    ]
    more = {"continue": {"aufrom": names[SIZE], "continue": "-||"}} if len(names) > SIZE else {}
    return answer({"batchcomplete": True, "query": {"allusers": rows}} | more)


def source(**more):
    return effective(Source.model_validate(example_source(presets()["MediaWiki"]) | more))


def lists(*names: str, first_again: bool = False):
    """A wiki that lists these names on one page, or the same page again and again."""
    rows = [{"userid": number, "name": name} for number, name in enumerate(names, 1)]
    more = {"continue": {"aufrom": names[0], "continue": "-||"}} if first_again else {}
    return lambda _: answer({"query": {"allusers": rows}} | more)


def test_the_list_is_read_over_its_pages_without_the_systems_account(serve):
    result = poll(serve(wiki).port, source(), credentials=None, closing=True)
    assert result.failure is None
    assert (result.users_listed, result.skipped["Excluded"]) == (5, 1)


def test_nobody_is_sure_who_may_have_been_active_in_the_cycle_before(serve):
    """The list reaches back 30 days, and the cycle began 19 days ago."""
    result = poll(serve(wiki).port, source(), credentials=None, closing=True)
    assert result.counted == 0


def test_programs_that_the_wiki_does_not_know_as_such_are_left_out_by_their_numbers(serve):
    users = {"excludeIds": ["2"]}
    result = poll(serve(lists("Ann", "Script")).port, source(users=users), credentials=None)
    assert (result.users_listed, result.skipped["ExcludedId"]) == (2, 1)


def test_a_page_that_comes_again_and_again_is_noticed(serve):
    site = lists("Ann", "Bob", first_again=True)
    result = poll(serve(site).port, source(), credentials=None, closing=True)
    assert result.failure is not None
    assert (result.failure.reason, result.complete) == ("PagingIgnored", False)


def test_a_row_in_anothers_place_rules_nobody_out(serve):
    rows = [{"userid": 1, "name": "Ann"}] * 2
    site = lambda _: answer({"query": {"allusers": rows}})  # noqa: E731
    result = poll(serve(site).port, source(), credentials=None, closing=True)
    assert result.incomplete is not None
    assert (result.incomplete.reason, result.complete) == ("RowsRepeated", False)


def test_only_a_cycle_that_is_longer_than_the_list_reaches_back_gets_a_number():
    assert attainable(source()).best is Accuracy.UNKNOWN
    assert list_reaches(source(), 61) is Accuracy.LOWER_BOUND
    assert example_object(presets()["MediaWiki"])["spec"]["cycle"]["lengthMonths"] == 2
