"""The library's own guess of a machine's speed is not believed at once."""

import re

import pyrage
import pytest

from licenseusage.cli.agefile import STRONG, decrypted, encrypted
from licenseusage.errors import Stalled
from licenseusage.reasons import Reason

PASSPHRASE = "correct horse battery staple"
BUSY = "Excessive work parameter for passphrase.\nDecryption would take around 32 seconds."


@pytest.fixture(scope="module")
def file():
    return encrypted(b"the keys", PASSPHRASE)


@pytest.fixture
def calls(monkeypatch):
    """Count the pauses, and do not make them."""
    made = []
    monkeypatch.setattr("time.sleep", made.append)
    return made


def of_cost(cost):
    return b"age-encryption.org/v1\n-> scrypt c2FsdA %d\n--- mac\nbody" % cost


def write_costs(monkeypatch, *costs):
    left = list(costs)
    monkeypatch.setattr("pyrage.passphrase.encrypt", lambda *_: of_cost(left.pop(0)))
    return left


def test_a_real_file_is_opened_again(file):
    assert decrypted(file, PASSPHRASE, "keys.age") == b"the keys"


def test_a_file_that_a_busy_machine_made_cheap_is_made_again(monkeypatch):
    left = write_costs(monkeypatch, 12, STRONG, 20)
    assert encrypted(b"", PASSPHRASE) == of_cost(STRONG)
    assert left == [20]


def test_of_a_slow_machine_the_costliest_file_is_taken(monkeypatch):
    write_costs(monkeypatch, 15, 16, 17, 16, 15)
    assert encrypted(b"", PASSPHRASE) == of_cost(17)


def test_a_file_that_is_cheap_to_guess_is_not_written(monkeypatch):
    write_costs(monkeypatch, 10, 14, 12, 13, 11)
    with pytest.raises(Stalled, match=r"2\^14 steps a guess, and 2\^15 are needed") as refused:
        encrypted(b"", PASSPHRASE)
    assert refused.value.reason is Reason.KEY_FILE_TOO_WEAK


def test_a_busy_moment_is_not_taken_for_a_damaged_file(monkeypatch, file, calls):
    real, busy = pyrage.passphrase.decrypt, [BUSY] * 3

    def decrypt(data, passphrase):
        if busy:
            raise pyrage.DecryptError(busy.pop())
        return real(data, passphrase)

    monkeypatch.setattr("pyrage.passphrase.decrypt", decrypt)
    assert decrypted(file, PASSPHRASE, "keys.age") == b"the keys"
    assert len(calls) == 3


def test_a_file_that_would_take_years_is_refused_as_that(file, calls):
    costly = re.sub(rb"(-> scrypt \S+) \d+", rb"\1 40", file)
    with pytest.raises(Stalled, match="Open it on a faster machine") as refused:
        decrypted(costly, PASSPHRASE, "keys.age")
    assert refused.value.reason is Reason.KEY_FILE_TOO_COSTLY
