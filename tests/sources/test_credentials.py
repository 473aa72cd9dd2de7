"""From a Secret to what is sent: one line of text, or a message that tells no value."""

import pytest

from licenseusage.errors import Stalled
from licenseusage.sources.definition.auth import BasicAuth, HeaderAuth
from licenseusage.sources.definition.place import SecretKey
from licenseusage.sources.poll import Credentials, credentials
from tests.sources.product import SECRET

BASIC = BasicAuth("meter")
BEARER = HeaderAuth("Authorization", "Bearer ", SecretKey("meter", "token"))
WHERE = "Secret shop/meter"


def test_no_auth_needs_no_secret():
    assert credentials(None, None, WHERE) is None


def test_a_final_line_end_is_not_part_of_the_value():
    made = credentials(BASIC, {"username": b"admin\n", "password": b" pass word \r\n"}, WHERE)
    assert made == Credentials(username="admin", password=" pass word ")
    made = credentials(BEARER, {"token": f" {SECRET} \n".encode()}, WHERE)
    assert made == Credentials(header_value=f"Bearer {SECRET}")


@pytest.mark.parametrize(
    ("auth", "secret", "reason", "told"),
    [
        (BASIC, None, "SecretNotFound", "does not exist"),
        (BASIC, {"username": b"a"}, "SecretKeyMissing", "'password'"),
        (BEARER, {}, "SecretKeyMissing", "'token'"),
        (BEARER, {"token": f"{SECRET}\nx".encode()}, "SecretInvalid", "one line"),
        (BEARER, {"token": b"\xff\xfe"}, "SecretInvalid", "one line"),
        (BASIC, {"username": b"a", "password": b"a\x00b"}, "SecretInvalid", "'password'"),
    ],
)
def test_what_cannot_be_sent_is_told_without_its_value(auth, secret, reason, told):
    with pytest.raises(Stalled) as caught:
        credentials(auth, secret, WHERE)
    assert caught.value.reason == reason
    assert WHERE in caught.value.message
    assert told in caught.value.message
    assert SECRET not in caught.value.message


def test_credentials_are_never_printed():
    assert SECRET not in repr(Credentials("u", SECRET, f"Bearer {SECRET}"))
