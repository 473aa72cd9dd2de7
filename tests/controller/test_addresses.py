"""Addresses that are never called, in every spelling that leads there."""

import pytest

from licenseusage.controller.rules.addresses import never_called

METADATA = "169.254.169.254"


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.255.255.254", "::1", "0.0.0.0", "::", "224.0.0.1", "ff02::1"),
        *(METADATA, "169.254.170.2", "fe80::1", "fe80::1%eth0"),
        *("fd00:ec2::254", "fd00:ec2::254%eth0", "fd20:ce::254"),
        *("100.100.100.200", "168.63.129.16", "192.0.0.192"),
        f"::ffff:{METADATA}",  # IPv4-mapped
        "::ffff:127.0.0.1",
        "::ffff:100.100.100.200",
        f"::{METADATA}",  # IPv4-compatible
        f"64:ff9b::{METADATA}",  # NAT64
        "64:ff9b::a9fe:a9fe",
        "64:ff9b::127.0.0.1",
        f"64:ff9b:1::{METADATA}",  # NAT64 of one's own
        "2002:a9fe:a9fe::1",  # 6to4
    ],
)
def test_it_is_refused(address):
    assert never_called(address, loopback_allowed=False)


@pytest.mark.parametrize(
    "address",
    [
        *("10.1.2.3", "192.168.0.1", "100.64.0.1", "8.8.8.8", "fd00:1234::1", "2001:db8::1"),
        *("::ffff:10.1.2.3", "64:ff9b::8.8.8.8", "64:ff9b::10.1.2.3", "2002:0a01:0203::1"),
    ],
)
def test_an_address_that_a_product_may_have_is_called(address):
    assert not never_called(address, loopback_allowed=False)


@pytest.mark.parametrize(
    "spelling", ["2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "169.254.43518", "127.1", ""]
)
def test_what_is_no_address_in_the_only_spelling_of_a_pods_address_is_none(spelling):
    """The API server takes no other; a host's name is resolved first (test_endpoints)."""
    with pytest.raises(ValueError, match="does not appear to be"):
        never_called(spelling, loopback_allowed=False)


def test_development_permits_loopback_and_no_way_around_it():
    assert not never_called("127.0.0.1", loopback_allowed=True)
    assert not never_called("::ffff:127.0.0.1", loopback_allowed=True)
    assert never_called(f"64:ff9b::{METADATA}", loopback_allowed=True)
