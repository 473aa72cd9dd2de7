"""Whether a page of a log over HTTP says that there is more."""

import json

import pytest

from licenseusage.sources.http.asking import Head
from licenseusage.sources.logs.ranged.pages import PageReader
from tests.sources.eventlog import source


def more(pages: str, head: Head, document: dict) -> bool | None:
    read = source("ms", pages)
    assert read.http_log is not None
    body = json.dumps({"items": [], **document}).encode()
    return PageReader(read, read.http_log).page([body], head).more


@pytest.mark.parametrize(("said", "there_is"), [(("b2",), True), (("",), False), ((), False)])
def test_a_cursor_in_the_head_says_it(said, there_is):
    assert more("HeaderCursor", Head(cursors=said), {}) is there_is


@pytest.mark.parametrize(("pages", "member"), [("Cursor", "next"), ("Next", "next")])
def test_a_member_says_it(pages, member):
    assert more(pages, Head(), {member: "b2"}) is True
    assert more(pages, Head(), {member: None}) is False


def test_one_page_says_nothing():
    assert more("None", Head(), {}) is None
