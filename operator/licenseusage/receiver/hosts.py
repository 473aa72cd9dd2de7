"""Which hosts a request may be for: the names and addresses that a receiver is reached by."""

import ipaddress
import re
from collections.abc import Collection
from pathlib import Path

from cryptography import x509

_HOST = re.compile(
    r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9._-]{1,253}))(?::[0-9]{1,5})?"
)


def is_ours(host: str, ours: Collection[str]) -> bool:
    """Whether a ``Host`` header names this receiver.

    Args:
        host: The header: a name or address, with or without a port.
        ours: Names and addresses in lower case; ``*.example.com`` is each name one level below.
    """
    match = _HOST.fullmatch(host)
    if match is None:
        return False
    name = (match["v6"] or match["name"]).lower().rstrip(".")
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        parent = name.partition(".")[2]
        return name == "localhost" or name in ours or f"*.{parent or name}" in ours
    return address.is_loopback or str(address) in ours


def names_of_certificate(path: Path) -> frozenset[str]:
    """Return the names in a certificate; none if it cannot be read (its user reports that)."""
    try:
        certificate = x509.load_pem_x509_certificates(path.read_bytes())[0]
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, IndexError, x509.ExtensionNotFound):
        return frozenset()
    hosts = names.get_values_for_type(x509.DNSName)
    addresses = names.get_values_for_type(x509.IPAddress)
    return frozenset([*(host.lower() for host in hosts), *(str(address) for address in addresses)])
