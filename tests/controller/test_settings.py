"""Settings: names, precedence, and a message that names what is wrong."""

import pytest

from licenseusage.controller.settings import from_mapping
from licenseusage.errors import Stalled


def test_defaults_are_valid():
    settings = from_mapping({})
    assert settings.namespaces == ()
    assert settings.first_send_spread_seconds == 3600
    assert settings.http_host_port == (None, 8080)


def test_a_flag_wins_over_a_variable_and_absent_flags_do_not():
    env = {"LICENSEUSAGE_POLL_SECONDS": "10", "LICENSEUSAGE_POLL_PAGES": "7"}
    settings = from_mapping(env, {"poll_seconds": "20", "poll_pages": None})
    assert (settings.poll_seconds, settings.poll_pages) == (20, 7)


def test_namespaces_are_separated_by_commas():
    assert from_mapping({"LICENSEUSAGE_NAMESPACES": "a, b,"}).namespaces == ("a", "b")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("POLL_SECONDS", "ten"),
        ("POLL_SECONDS", "0"),
        ("NAMESPACES", "Upper_Case"),
        ("DATABASE_URL", "mysql://user:secret@host/db"),
        ("HTTP_ADDRESS", "8080"),
        ("HTTP_ADDRESS", ":99999"),
        ("VENDOR_ENDPOINT", "http://vendor.example"),
        ("VENDOR_ENDPOINT", "https://user:secret@vendor.example"),
        ("VENDOR_CA_FILE", "/nowhere/ca.pem"),
        ("LOG_LEVEL", "loud"),
        ("FIRST_SEND_SPREAD_SECONDS", "-1"),
    ],
)
def test_a_wrong_value_is_refused_by_name_and_secrets_are_not_repeated(name, value):
    with pytest.raises(Stalled) as caught:
        from_mapping({f"LICENSEUSAGE_{name}": value})
    assert caught.value.reason == "SettingsInvalid"
    assert f"LICENSEUSAGE_{name}" in caught.value.message
    assert "secret" not in caught.value.message
