"""The receiver's settings: address, database, TLS, keys, and who may see the pages."""

import ipaddress
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from licenseusage.errors import Stalled
from licenseusage.reasons import Reason
from licenseusage.receiver.access import PagesAccess
from licenseusage.receiver.hosts import names_of_certificate
from licenseusage.reports.keys import SigningKey, VendorKeys
from licenseusage.reports.refused import Refused
from licenseusage.reports.typs import LICENSE, RECEIPT

JWKS_FILE = "jwks.json"
RECEIPT_KEY_FILE = "receipt.jwk"
"""Files of ``licenseusage vendor keygen`` that a receiver needs; never the licence key."""
_KEYS_FIX = "Give --keys the folder online/ that `licenseusage vendor keygen` makes."
_LICENSE_KEY_FILE = "license.jwk"
_LARGEST_KEY_FILE_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen.

    Attributes:
        host: An IP address, or ``localhost``.
        port: 0: any free one.
    """

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Read ``HOST:PORT``; IPv6 in brackets.

        Raises:
            Stalled: ``SettingsInvalid``.
        """
        try:
            parts = urlsplit(f"//{text}")
            host, port = parts.hostname, parts.port
            plain = not (parts.path or parts.query or parts.fragment or "@" in text)
            if host is not None and port is not None and plain:
                if host != "localhost":
                    ipaddress.ip_address(host)
                return cls(host, port)
        except ValueError:
            pass
        raise Stalled(
            Reason.SETTINGS_INVALID,
            f"--address {text!r} is not an IP address and a port, as in 0.0.0.0:8443, [::1]:8443.",
        )

    @property
    def local(self) -> bool:
        """Whether only this machine can reach it."""
        return self.host == "localhost" or ipaddress.ip_address(self.host).is_loopback

    def url(self, *, tls: bool, port: int) -> str:
        """Return the address as people open it, with the port that was bound."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if tls else 'http'}://{host}:{port}"


@dataclass(frozen=True, slots=True)
class Certificate:
    """Files of the TLS certificate (with its chain) and its private key, PEM."""

    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class VendorFiles:
    """The keys of the vendor that the receiver works with."""

    published: VendorKeys
    receipt_key: SigningKey

    @classmethod
    def read(cls, folder: Path) -> "VendorFiles":
        """Read the folder ``online`` that ``licenseusage vendor keygen -o`` has made.

        Raises:
            Stalled: ``SettingsInvalid``: a file is missing; ``VendorKeysInvalid``: it is malformed,
                or the receipt key is not among the published ones that may sign receipts;
                ``LicenseKeyOnLine``: the folder holds a key that signs licences.
        """
        _refuse_license_key(folder)
        published = VendorKeys.from_jwks(_text(folder / JWKS_FILE), source=str(folder / JWKS_FILE))
        path = folder / RECEIPT_KEY_FILE
        try:
            key = SigningKey.from_jwk(_text(path))
        except Refused as refusal:
            raise _invalid(f"{path} is no receipt key: {refusal.message}.") from None
        known = published.get(key.kid)
        if known is None or not known.permits(RECEIPT):
            raise _invalid(
                f"{path} is not published in {JWKS_FILE} for {RECEIPT}: no customer could verify "
                "its receipts. Publish it, or use the key that is published."
            )
        _refuse_license_key(folder, published)
        return cls(published, key)


def certificate_for(
    address: Address, certificate: Path | None, key: Path | None
) -> Certificate | None:
    """Return the certificate to serve with; None: plain http, which only a loopback address may.

    Senders speak https only, so without a certificate a proxy on this machine has to end TLS.

    Raises:
        Stalled: ``SettingsInvalid``.
    """
    if certificate is not None and key is not None:
        return Certificate(certificate, key)
    if certificate is not None or key is not None:
        raise Stalled(
            Reason.SETTINGS_INVALID, "--tls-cert and --tls-key go together; one is missing."
        )
    if not address.local:
        raise Stalled(
            Reason.SETTINGS_INVALID,
            f"--address {address.host} can be reached from elsewhere, and there is no certificate: "
            "give --tls-cert and --tls-key, or listen on 127.0.0.1 behind a proxy that speaks TLS.",
        )
    return None


def access_for(
    address: Address,
    password_file: Path | None,
    *,
    open_pages: bool = False,
    hosts: Collection[str] = (),
    certificate: Path | None = None,
) -> PagesAccess:
    """Return who may see the pages.

    Args:
        address: Where the receiver listens.
        password_file: Holds the pages' password.
        open_pages: Show them without a password.
        hosts: Names that the receiver is reached by, besides those of loopback, of the address it
            listens on, and of its certificate.
        certificate: Of the server.

    Raises:
        Stalled: ``SettingsInvalid``: the password's file is missing or empty, or open pages could
            be reached from elsewhere.
    """
    known = {host.lower().rstrip(".") for host in hosts} | {address.host.lower()}
    if certificate is not None:
        known |= names_of_certificate(certificate)
    if open_pages and password_file is not None:
        raise Stalled(
            Reason.SETTINGS_INVALID,
            "--open-pages and --pages-password-file contradict each other: give one of them.",
        )
    if open_pages and not address.local:
        raise Stalled(
            Reason.SETTINGS_INVALID,
            f"--open-pages shows every customer's numbers to whoever reaches {address.host}. Give "
            "--pages-password-file, or listen on a loopback address.",
        )
    if password_file is None:
        return PagesAccess(open_pages=open_pages, hosts=frozenset(known))
    password = _text(password_file, "It must hold the password of the pages.").strip()
    if not password:
        raise Stalled(
            Reason.SETTINGS_INVALID, f"{password_file} is empty: it must hold a password."
        )
    return PagesAccess(password=password, hosts=frozenset(known))


def _refuse_license_key(folder: Path, published: VendorKeys | None = None) -> None:
    """Check that an intruder finds no key on the receiver that could sign licences.

    Known by its file's name, in the folder or in one below it (the whole folder that ``keygen``
    made), or as the private half of a key that is published for licences, whatever its file.
    """
    for path in sorted([*folder.glob("*"), *folder.glob("*/*")]):
        if path.name == _LICENSE_KEY_FILE or _signs_licenses(path, published):
            raise Stalled(
                Reason.LICENSE_KEY_ON_LINE,
                f"{path} signs licences: it must stay off line, and not on the receiver's machine. "
                f"Give --keys a folder with {JWKS_FILE} and {RECEIPT_KEY_FILE} only (`licenseusage "
                "vendor keygen` makes it: online/), and remove the key from this machine.",
            )


def _signs_licenses(path: Path, published: VendorKeys | None) -> bool:
    try:
        if published is None or not path.is_file():
            return False
        if path.stat().st_size > _LARGEST_KEY_FILE_BYTES:
            return False
        known = published.get(SigningKey.from_jwk(path.read_text("utf-8")).kid)
    except (OSError, UnicodeDecodeError, Refused):
        return False
    return known is not None and known.permits(LICENSE)


def _text(path: Path, fix: str = _KEYS_FIX) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise Stalled(
            Reason.SETTINGS_INVALID,
            f"{path} cannot be read ({reason}). {fix}",
        ) from None


def _invalid(message: str) -> Stalled:
    return Stalled(Reason.VENDOR_KEYS_INVALID, message)
