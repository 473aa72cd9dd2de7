"""A file is written whole, or nothing is there."""

import errno
import os
import stat

import pytest

from licenseusage.cli import written
from licenseusage.cli.written import write_whole
from licenseusage.errors import Stalled


def test_the_content_is_there_and_nothing_else(tmp_path):
    write_whole(tmp_path / "out", b"content")
    assert (tmp_path / "out").read_bytes() == b"content"
    assert os.listdir(tmp_path) == ["out"]


def test_an_older_file_is_replaced(tmp_path):
    (tmp_path / "out").write_bytes(b"older and longer")
    write_whole(tmp_path / "out", b"new")
    assert (tmp_path / "out").read_bytes() == b"new"


def test_others_may_read_it_as_the_umask_says(tmp_path):
    before = os.umask(0o022)
    try:
        write_whole(tmp_path / "out", b"")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o644


@pytest.mark.parametrize(
    ("code", "fix"),
    [
        (errno.ENOSPC, "needs 7 bytes: free space"),
        (errno.EDQUOT, "needs 7 bytes: free space"),
        (errno.EROFS, "mount it writable"),
        (errno.EACCES, "right to write"),
        (errno.EIO, "Check the folder and its volume"),
    ],
)
@pytest.mark.parametrize("call", ["fsync", "open"])
def test_a_volume_that_is_full_or_read_only_leaves_the_former_file(
    tmp_path, monkeypatch, code, fix, call
):
    (tmp_path / "out").write_bytes(b"former")

    def fails(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(written.os, call, fails)
    with pytest.raises(Stalled, match=fix) as error:
        write_whole(tmp_path / "out", b"content")
    monkeypatch.undo()
    assert error.value.reason == "NotWritable"
    assert str(tmp_path / "out") in error.value.message
    assert (tmp_path / "out").read_bytes() == b"former"
    assert os.listdir(tmp_path) == ["out"]


def test_a_folder_that_is_missing_is_named(tmp_path):
    with pytest.raises(Stalled, match="Create the folder first"):
        write_whole(tmp_path / "none" / "out", b"content")


def test_a_folder_of_that_name_is_not_replaced(tmp_path):
    (tmp_path / "out").mkdir()
    with pytest.raises(Stalled, match="name a file in it"):
        write_whole(tmp_path / "out", b"content")
    assert os.listdir(tmp_path) == ["out"]
