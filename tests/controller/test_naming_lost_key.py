"""What ``PseudonymKeyLost`` says of the key that a new one takes the place of."""

from types import SimpleNamespace

from licenseusage.controller.steps.meters import naming_the_lost_key
from licenseusage.errors import Stalled
from licenseusage.reasons import Reason

LOST = Stalled(Reason.PSEUDONYM_KEY_LOST, "It is gone.")


def of(*ids):
    return [SimpleNamespace(pseudonym_key_id=key_id) for key_id in ids]


def test_the_newest_key_that_somebody_was_counted_under_is_named():
    seen = naming_the_lost_key(LOST, of("a" * 32, "b" * 32, None))
    assert seen.message == f"It is gone. The lost key's id is {'b' * 32}."


def test_where_nobody_was_counted_a_new_key_names_none():
    for cycles in of(), of(None):
        seen = naming_the_lost_key(LOST, cycles)
        assert seen.reason == Reason.PSEUDONYM_KEY_LOST
        assert "leave out --replaces" in seen.message


def test_another_failure_is_passed_on():
    invalid = Stalled(Reason.PSEUDONYM_KEY_INVALID, "It has 3 bytes.")
    assert naming_the_lost_key(invalid, of(None)) is invalid
