"""OpenCloud's event log: which events are a person's, and which are not.

The shapes are those of the products' sources; a real NATS server keeps them.
"""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from licenseusage.sources.definition.presets import effective
from tests.sources.broker import Reader, ago, message, source

ROOT = Path(__file__).resolve().parents[2]
OWNER = {"idp": "https://idp.example.org", "opaque_id": "owner"}
FILE = {"resource_id": {"space_id": "s", "opaque_id": "f"}}

SHOWN = re.compile(
    r"^```yaml title=[^\n]*other servers[^\n]*\n(.*?)^```$", re.DOTALL | re.MULTILINE
)
"""What docs/opencloud.md shows for contracts that count people of other servers."""


@pytest.fixture
def reader(broker) -> Reader:
    return Reader(broker.server)


def counted(broker, reader, *messages: bytes) -> set[str]:
    """Who of these and of one person more, who signed in, is counted."""
    broker.publish(*messages, message("z", ago(5)))
    result = reader.poll()
    assert (result.failure, result.complete) == (None, True)
    assert result.counted == len(reader.counted())
    return reader.counted() - {"z"}


# -- whom an account of this server belongs to --


@pytest.mark.parametrize("user_type", [1, 5, 7])
def test_members_guests_and_lightweight_accounts_are_people(broker, reader, user_type):
    sent = message("a", ago(9), "events.FileDownloaded", user_type=user_type)
    assert counted(broker, reader, sent) == {"a"}


@pytest.mark.parametrize("user_type", [0, 2, 3, 4, 6, 8, 9])
@pytest.mark.parametrize("kind", ["events.ReceivedShareUpdated", "events.ItemPurged"])
def test_the_servers_own_accounts_and_those_of_other_servers_are_not(
    broker, reader, kind, user_type
):
    assert counted(broker, reader, message("a", ago(9), kind, user_type=user_type)) == set()


@pytest.mark.parametrize("kind", ["events.UserSignedIn", "events.ContainerCreated"])
def test_whoever_has_no_type_is_not_counted_since_nothing_shows_a_person(broker, reader, kind):
    assert counted(broker, reader, message("a", ago(9), kind, user_type=None)) == set()


def test_a_type_in_words_is_none_that_is_known(broker, reader):
    words = {"opaque_id": "x", "type": "USER_TYPE_PRIMARY"}
    assert counted(broker, reader, message("a", ago(9), Executant=words)) == set()


# -- uploads --


def test_an_upload_is_the_one_of_whom_its_bytes_came_from(broker, reader):
    assert counted(broker, reader, message("a", ago(9), "events.BytesReceived")) == {"a"}


def test_an_empty_file_is_told_by_its_touch(broker, reader):
    sent = message("a", ago(9), "events.FileTouched", SpaceOwner=OWNER, Ref=FILE)
    assert counted(broker, reader, sent) == {"a"}


@pytest.mark.parametrize("kind", ["events.BytesReceived", "events.FileDownloaded"])
def test_a_visitor_of_a_public_link_is_not_its_owner(broker, reader, kind):
    assert counted(broker, reader, message("a", ago(9), kind, impersonated=5)) == set()


def test_the_event_that_hides_the_visitor_is_not_read(broker, reader):
    hidden = message("a", ago(9), "events.FileUploaded", SpaceOwner=OWNER, Owner=OWNER, Ref=FILE)
    assert counted(broker, reader, hidden) == set()


def test_an_upload_whose_processing_ends_later_is_none_of_that_day(broker, reader):
    """A scanner that was away, or an administrator who resumes: the person did nothing again."""
    before = reader.cycle.start_ms - 1000
    sent = message("a", before, "events.BytesReceived")
    assert counted(broker, reader, sent, message("a", ago(9), "events.UploadReady")) == set()


def test_a_restarted_processing_is_nobodys(broker, reader):
    restarted = {"id": {"opaque_id": "postprocessing-restart"}}
    sent = message(None, ago(9), "events.BytesReceived", ExecutingUser=restarted)
    assert counted(broker, reader, sent) == set()


def test_an_upload_of_a_service_account_is_known_by_its_identity_provider(broker, reader):
    sent = message("a", ago(9), "events.BytesReceived", idp="none")
    assert counted(broker, reader, sent) == set()


def test_an_upload_that_tells_a_type_is_judged_by_it(broker, reader):
    user = {"id": {"idp": "i", "opaque_id": "x", "type": 3}}
    sent = message("a", ago(9), "events.BytesReceived", ExecutingUser=user)
    assert counted(broker, reader, sent) == set()


# -- what the scanner of a file system finds --


@pytest.mark.parametrize("kind", ["events.ContainerCreated", "events.FileTouched"])
def test_what_appears_on_the_disk_is_not_its_owners_doing(broker, reader, kind):
    found = message("a", ago(9), kind, user_type=None, SpaceOwner=OWNER, Ref=FILE)
    assert counted(broker, reader, found) == set()


@pytest.mark.parametrize("kind", ["events.ItemTrashed", "events.ItemMoved"])
def test_what_vanishes_from_the_disk_is_not_its_owners_doing_although_her_type_is_told(
    broker, reader, kind
):
    gone = message("a", ago(9), kind, Owner=OWNER, Ref=FILE)
    assert counted(broker, reader, gone) == set()


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("events.ItemTrashed", {"SpaceOwner": OWNER, "Owner": None, "Ref": FILE}),
        ("events.SpaceRenamed", {"Owner": OWNER}),
        ("events.TrashbinPurged", {"Ref": FILE, "Owner": None}),
        ("events.LabelAdded", {"Ref": FILE, "Label": "favorite", "UserID": OWNER}),
        ("events.LabelRemoved", {"Ref": FILE, "Label": "favorite", "UserID": OWNER}),
    ],
)
def test_what_people_do_to_files_and_spaces_counts(broker, reader, kind, more: dict[str, Any]):
    assert counted(broker, reader, message("a", ago(9), kind, **more)) == {"a"}


# -- all together --


def ordinary() -> list[bytes]:
    """A day of an ordinary installation: five people; search, shares, links, disk, trash."""
    server = {"user_type": 3, "idp": "none"}
    at = ago(9)
    return [
        *(message(name, at) for name in "abcd"),
        message("e", at, "events.BytesReceived"),  # by an app token, without a sign-in
        message("a", at, "events.ShareCreated"),
        message("s", at, "events.ReceivedShareUpdated", **server),
        message("s", at, "events.FileDownloaded", Ref=FILE, **server),
        message("s", at, "events.ItemPurged", Ref=FILE, **server),
        message("s", at, "events.TrashbinPurged", Ref=FILE, **server),
        message("b", at, "events.LinkCreated"),
        message("o", at, "events.BytesReceived", impersonated=5),
        message("o", at, "events.FileUploaded", Owner=OWNER, Ref=FILE),
        message("o", at, "events.UploadReady", impersonated=5),
        message("p", at, "events.ContainerCreated", user_type=None, Owner=OWNER, Ref=FILE),
        message("p", at, "events.ItemTrashed", Owner=OWNER, Ref=FILE),
        message("r", at, "events.FileDownloaded", user_type=6, impersonated=6),
        message("r", at, "events.BytesReceived", impersonated=6),
        message(None, at, "events.SpaceCreated"),
    ]


def test_of_an_ordinary_installation_exactly_the_people_count(broker, reader):
    broker.publish(*ordinary())
    result = reader.poll()
    assert (result.complete, result.counted) == (True, 5)
    assert reader.counted() == set("abcde")


def test_people_of_other_servers_count_where_the_contract_says_so(broker, reader):
    (shown,) = SHOWN.findall((ROOT / "docs" / "opencloud.md").read_text())
    reader.request["source"] = effective(source(**yaml.safe_load(shown)))
    broker.publish(*ordinary())
    assert reader.poll().counted == 6
    assert reader.counted() == set("abcder")
