"""The corpus of the fuzzer holds what its targets say; a reader that is broken is noticed."""

from pathlib import Path

import pytest

from licenseusage.sources.definition.timestamps import Instant, Recent
from licenseusage.sources.lists.pages import PageReader
from trials.fuzz import targets
from trials.fuzz.__main__ import CORPUS, NAMES
from trials.fuzz.targets import TARGETS, BrokenError

INPUTS = sorted(path for path in CORPUS.glob("*/*"))


def test_each_target_is_run_and_has_a_corpus():
    assert tuple(TARGETS) == NAMES
    assert {path.parent.name for path in INPUTS} == set(TARGETS)


@pytest.mark.parametrize("path", INPUTS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_target_holds_for_its_corpus(path: Path):
    TARGETS[path.parent.name](path.read_bytes())


def test_a_reader_that_loses_a_piece_is_noticed(monkeypatch):
    feed, fed = PageReader.feed, []

    def losing(reader: PageReader, data: bytes) -> None:
        fed.append(data)
        if b"bob" not in data or len(data) > 16:
            feed(reader, data)

    monkeypatch.setattr(PageReader, "feed", losing)
    people = b'[{"id": "ann", "seen": 1794297600}, {"id": 7, "name":"bob", "seen": 1794297600}]'
    body = b'\0{"value": ' + people + b"}"
    lost = [at for at in range(16) if _broken(b" " * at, body)]
    assert lost


def _broken(before: bytes, body: bytes) -> bool:
    try:
        targets.lists(body[:1] + before + body[1:])
    except BrokenError:
        return True
    return False


@pytest.mark.parametrize("target", ["/a b", "http://other.example/", "/a\r\nHost: x", "/ä"])
def test_a_link_that_leads_elsewhere_is_noticed(monkeypatch, target):
    monkeypatch.setattr(targets, "target_of", lambda *_: target)
    with pytest.raises(BrokenError):
        targets.links(b"?page=2")


class Forgetful:
    """A reader that finds nobody recent."""

    def read(self, value):
        return Instant(targets.HORIZON_MS)

    def recent(self, values, horizon_ms):
        return Recent([], [])


def test_a_recent_time_that_is_not_found_is_noticed(monkeypatch):
    monkeypatch.setattr(targets, "_READERS", (Forgetful(),))
    with pytest.raises(BrokenError):
        targets.times(b"\x001794297600")
