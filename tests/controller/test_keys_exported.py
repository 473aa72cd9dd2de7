"""The condition ``KeysExported``: said until the present keys, and no others, were exported."""

import pytest

from licenseusage.controller.rules.conditions import Findings, Status, conditions
from licenseusage.controller.rules.keysecrets import exported_line
from licenseusage.controller.rules.keystatus import configmap_data, keys_exported
from licenseusage.reports.keyring import KeyRing
from tests.delivery.people import INSTALLATION_KEY as FIRST
from tests.delivery.people import NOW_MS
from tests.reports.test_keyring import SECOND

PSEUDONYM, TIME = "0123456789abcdef" * 2, "2026-02-10T00:00:00Z"


def exported(*keys, pseudonym=PSEUDONYM):
    """What the Secret remembers of an export of these keys."""
    return tuple(exported_line(TIME, [key.kid for key in keys], pseudonym).split())


def test_before_the_first_export_it_names_the_command_and_the_setting():
    seen = keys_exported(KeyRing(FIRST), PSEUDONYM, wanted=True)
    assert (seen.status, seen.reason) == (Status.FALSE, "KeysNotExported")
    assert "kubectl licenseusage keys export" in seen.message
    assert "LICENSEUSAGE_KEYS_BACKUP=Elsewhere" in seen.message


def test_after_an_export_it_is_absent():
    assert keys_exported(KeyRing(FIRST, exported=exported(FIRST)), PSEUDONYM, wanted=True) is None


@pytest.mark.parametrize(
    "ring",
    [
        KeyRing(SECOND, exported=exported(FIRST)),
        KeyRing(FIRST, SECOND, exported=exported(FIRST)),
        KeyRing(FIRST, exported=exported(FIRST, pseudonym="f" * 32)),
        KeyRing(FIRST, exported=("rubbish",)),
    ],
    ids=["rotated", "being rotated", "another pseudonym key", "edited"],
)
def test_an_export_of_other_keys_does_not_count(ring):
    assert "other keys were" in keys_exported(ring, PSEUDONYM, wanted=True).message


def test_the_keys_of_a_rotation_under_way_count_together():
    ring = KeyRing(FIRST, SECOND, exported=exported(FIRST, SECOND))
    assert keys_exported(ring, PSEUDONYM, wanted=True) is None
    assert keys_exported(KeyRing(SECOND, exported=ring.exported), PSEUDONYM, wanted=True) is None


def test_who_backs_the_secrets_up_elsewhere_is_not_told():
    assert keys_exported(KeyRing(FIRST), PSEUDONYM, wanted=False) is None


def test_it_takes_neither_ready_away_nor_asks_for_a_person():
    found = Findings("p", keys_exported=keys_exported(KeyRing(FIRST), PSEUDONYM, wanted=True))
    shown = {one["type"]: one["status"] for one in conditions(found, [], 1, NOW_MS)}
    assert shown["KeysExported"] == "False"
    assert "Stalled" not in shown
    assert found.calm


def test_keys_status_shows_when_they_were_exported():
    ring = KeyRing(FIRST, exported=exported(FIRST))
    data = configmap_data([], ring, PSEUDONYM, ring.exported_at(PSEUDONYM))
    assert f'"exportTime": "{TIME}"' in data["status.json"]
