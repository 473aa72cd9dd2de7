"""Addresses that are never called, whatever names them."""

import ipaddress


def never_called(text: str, *, loopback_allowed: bool) -> bool:
    """Whether an address is loopback, link-local (where clouds keep credentials), or no host's.

    Args:
        text: An IP address.
        loopback_allowed: Development mode, for demo and tests.

    Raises:
        ValueError: It is no IP address.
    """
    address = ipaddress.ip_address(text)
    mapped = getattr(address, "ipv4_mapped", None) or address
    if mapped.is_loopback and loopback_allowed:
        return False
    return bool(
        mapped.is_loopback or mapped.is_link_local or mapped.is_multicast or mapped.is_unspecified
    )
