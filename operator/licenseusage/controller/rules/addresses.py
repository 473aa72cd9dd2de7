"""Addresses that are never called, whatever names them."""

import ipaddress
from collections.abc import Iterator

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

METADATA = frozenset(
    ipaddress.ip_address(text)
    for text in (
        "fd00:ec2::254",  # Amazon EC2, over IPv6
        "fd20:ce::254",  # Google Cloud, over IPv6
        "100.100.100.200",  # Alibaba Cloud
        "168.63.129.16",  # Azure's wire server
        "192.0.0.192",  # Oracle Cloud, classic
    )
)
"""Where clouds keep credentials of their nodes beside the link-local addresses."""

_WITH_IPV4 = (
    (ipaddress.IPv6Network("::/96"), 0),  # RFC 4291 §2.5.5.1, IPv4-compatible
    (ipaddress.IPv6Network("64:ff9b::/96"), 0),  # RFC 6052, NAT64
    (ipaddress.IPv6Network("64:ff9b:1::/48"), 0),  # RFC 8215, NAT64 of one's own (prefix /96)
    (ipaddress.IPv6Network("2002::/16"), 80),  # RFC 3056, 6to4
)
"""Networks of addresses that lead to an IPv4 address, and how many bits follow that in them."""


def never_called(text: str, *, loopback_allowed: bool) -> bool:
    """Whether an address is loopback, link-local, a cloud's metadata, or no host's.

    An IPv6 address that leads to an IPv4 address (mapped, NAT64, 6to4) is judged by that one, too.

    Args:
        text: An IP address.
        loopback_allowed: Development mode, for demo and tests.

    Raises:
        ValueError: It is no IP address.
    """
    address = ipaddress.ip_address(text)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if address.is_loopback and loopback_allowed:
        return False
    return any(map(_refused, (address, *_inside(address))))


def _refused(address: Address) -> bool:
    return bool(
        address.is_loopback
        or address.is_link_local
        or address.is_multicast
        or address.is_unspecified
        or ipaddress.ip_address(address.packed) in METADATA  # without a zone such as %eth0
    )


def _inside(address: Address) -> Iterator[ipaddress.IPv4Address]:
    """Yield the IPv4 addresses that an IPv6 address leads to."""
    if isinstance(address, ipaddress.IPv4Address):
        return
    for network, following in _WITH_IPV4:
        if address in network:
            yield ipaddress.IPv4Address(int(address) >> following & 0xFFFF_FFFF)
