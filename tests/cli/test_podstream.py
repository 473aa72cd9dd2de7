"""A ledger's stream is whole on the other side, or refused; the pod's volume keeps no copy."""

import fcntl
import hashlib
import io
import os
import sys
from types import SimpleNamespace

import pytest

from licenseusage.cli import ledgerstream
from licenseusage.cli.podstream import (
    Passed,
    Sending,
    StreamCut,
    acknowledgement,
    announced,
    compare,
    received,
)
from licenseusage.errors import Stalled
from tests.ledger import book

CONTENT = os.urandom(1000)


def sent(content=CONTENT, octets=None):
    return b"".join(Sending(io.BytesIO(content), len(content) if octets is None else octets))


def arrived(data):
    stream, into = io.BytesIO(data), io.BytesIO()
    passed = received(stream, announced(stream), into)
    return passed, into.getvalue()


def test_what_arrives_is_what_was_sent_with_its_digest():
    passed, content = arrived(sent())
    assert content == CONTENT
    assert passed == Passed(1000, hashlib.sha256(CONTENT).hexdigest())
    assert arrived(sent(b""))[1] == b""


def test_a_stream_that_ends_at_any_octet_is_refused():
    whole = sent(b"abc")
    for end in range(len(whole)):
        with pytest.raises(StreamCut):
            arrived(whole[:end])


def test_a_stream_with_any_octet_changed_is_refused():
    whole = sent(b"abc")
    head = whole.index(b"\n") + 1
    for at in range(head, len(whole)):
        changed = whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]
        with pytest.raises(StreamCut):
            arrived(changed)


@pytest.mark.parametrize("said", ["usage: no such option", "[]", '{"format": "x", "octets": 1}'])
def test_a_stream_of_another_kind_is_refused(said):
    with pytest.raises(StreamCut):
        arrived(said.encode() + b"\n" + b"0" * 100)


def test_a_file_that_becomes_shorter_while_it_is_sent_is_named():
    with pytest.raises(Stalled, match="became shorter"):
        sent(octets=1001)


def test_the_receiver_says_what_it_has_and_the_sender_compares():
    sending = Sending(io.BytesIO(CONTENT), len(CONTENT))
    passed, _ = arrived(b"".join(sending))
    compare(io.BytesIO(acknowledgement(passed)), sending)
    for wrong in (Passed(999, passed.sha256), Passed(1000, "0" * 64)):
        with pytest.raises(StreamCut, match="something else"):
            compare(io.BytesIO(acknowledgement(wrong)), sending)
    with pytest.raises(StreamCut, match="not known"):
        compare(io.BytesIO(b""), sending)


class TestInThePod:
    @pytest.fixture
    def ledger(self, tmp_path):
        path = tmp_path / "ledger.sqlite"
        with book.opened(path) as opened:
            book.begin(opened)
        return path

    @pytest.fixture
    def streams(self, monkeypatch):
        """Standard input and output of the pod's side."""

        def given(data=b""):
            out = io.BytesIO()
            monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data)))
            monkeypatch.setattr(sys, "stdout", SimpleNamespace(buffer=out))
            return out

        return given

    def beside(self, ledger):
        return [one.name for one in ledger.parent.iterdir() if "stream" in one.name]

    def test_a_copy_is_sent_and_none_stays(self, ledger, streams):
        out = streams()
        ledgerstream.send_backup(ledger)
        assert arrived(out.getvalue())[1].startswith(b"SQLite format 3\0")
        assert self.beside(ledger) == []

    def test_a_copy_that_a_killed_command_left_is_removed_and_one_in_use_is_not(
        self, ledger, streams
    ):
        dead, used = (ledger.parent / f".licenseusage-stream-{name}" for name in ("dead", "used"))
        for folder in (dead, used):
            folder.mkdir()
            (folder / "ledger.sqlite").write_bytes(b"half")
        held = os.open(used, os.O_RDONLY)
        fcntl.flock(held, fcntl.LOCK_EX)
        streams()
        ledgerstream.send_backup(ledger)
        os.close(held)
        assert self.beside(ledger) == [used.name]

    def test_without_room_for_a_copy_the_operators_volume_is_left_alone(
        self, ledger, streams, monkeypatch
    ):
        monkeypatch.setattr(ledgerstream, "SPARE_OCTETS", 1 << 60)
        out = streams()
        with pytest.raises(Stalled, match="free for the operator") as error:
            ledgerstream.send_backup(ledger)
        assert error.value.reason == "NotWritable"
        assert out.getvalue() == b""

    def test_what_arrived_whole_is_kept_while_it_is_used(self, ledger, streams):
        out = streams(sent())
        with ledgerstream.received_ledger(ledger) as copy:
            assert copy.read_bytes() == CONTENT
            sending = Sending(io.BytesIO(CONTENT), len(CONTENT))
            list(sending)
            compare(io.BytesIO(out.getvalue()), sending)
        assert self.beside(ledger) == []

    def test_what_did_not_arrive_whole_is_used_for_nothing(self, ledger, streams):
        out = streams(sent()[:-100])
        with pytest.raises(StreamCut), ledgerstream.received_ledger(ledger):
            pytest.fail("it was used")
        assert out.getvalue() == b""
        assert self.beside(ledger) == []
