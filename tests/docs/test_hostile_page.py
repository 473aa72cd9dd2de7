"""docs/hostile-answers.md is what the table of hostile answers says."""

from licenseusage.reasons import Reason
from tests.sources.hostile.__main__ import PAGE
from tests.sources.hostile.case import Complete
from tests.sources.hostile.table import TABLE, page


def test_the_committed_page_is_the_generated_one():
    assert page() == PAGE.read_text("utf-8"), "run: make generate"


def test_each_reason_on_it_is_one_of_the_vocabulary():
    named = {case.expected.reason for case in TABLE if not isinstance(case.expected, Complete)}
    assert named <= set(Reason)
