"""MediaWiki's list of active users as its API answers: names and numbers, and no times."""

from hack.presets.example import example_source
from licenseusage.api.source import Source
from licenseusage.metering.bounds import Accuracy
from licenseusage.sources.definition.attainable import attainable
from licenseusage.sources.definition.presets import effective, presets
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


def source():
    return effective(Source.model_validate(example_source(presets()["MediaWiki"])))


def test_the_list_is_read_over_its_pages_without_the_systems_account(serve):
    result = poll(serve(wiki).port, source(), credentials=None, closing=True)
    assert result.failure is None
    assert (result.users_listed, result.skipped["Excluded"]) == (5, 1)


def test_nobody_is_sure_who_may_have_been_active_in_the_cycle_before(serve):
    """The list reaches back 30 days, and the cycle began 19 days ago."""
    result = poll(serve(wiki).port, source(), credentials=None, closing=True)
    assert result.counted == 0


def test_a_range_is_the_best_that_can_be_stated():
    assert attainable(source()).best is Accuracy.BOUNDED
