"""TLS to a pod: only by an authority that is named, and by the name in the certificate."""

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from licenseusage.sources.poll import Target
from tests.sources.product import USERS, Product, answer, poll

NAME = "cloud.example.org"


@dataclass
class Authority:
    folder: Path

    def __post_init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])
        self.certificate = self._sign(self.name, self.key, [], authority=True)
        self.pem = self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    def _sign(self, subject, key, names, *, authority=False, days=1):
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=2))
            .not_valid_after(now + timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()),
                critical=False,
            )
        )
        if authority:
            usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
            builder = builder.add_extension(usage, critical=True)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self.key, hashes.SHA256())

    def server(self, names, *, days=1) -> ssl.SSLContext:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "pod")])
        certificate = self._sign(subject, key, names, days=days)
        path = self.folder / f"{certificate.serial_number}.pem"
        path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            + certificate.public_bytes(serialization.Encoding.PEM)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def serve_tls(serve: Callable[..., Product], authority: Authority) -> Callable[..., Product]:
    def start(names, **more) -> Product:
        context = authority.server(names, **more)
        return serve(
            answer({"value": USERS}),
            wrap=lambda plain: context.wrap_socket(plain, server_side=True),
        )

    return start


def asked(product: Product, pem: str | None, name: str | None = None):
    target = Target("127.0.0.1", product.port, "HTTPS", "pod-0", ca_pem=pem, server_name=name)
    return poll(0, targets=(target,))


def test_a_certificate_of_the_named_authority_and_name_is_trusted(serve_tls, authority):
    product = serve_tls([x509.DNSName(NAME)])
    result = asked(product, authority.pem, NAME)
    assert (result.failure, result.counted) == (None, 2)
    assert product.requests[0].headers["host"] == NAME


def test_a_certificate_for_the_pods_address_needs_no_name(serve_tls, authority):
    product = serve_tls([x509.IPAddress(ip_address("127.0.0.1"))])
    assert asked(product, authority.pem).counted == 2


CASES = [
    ("unknown authority", None, NAME, {}, "CertificateInvalid", "caSecretRef"),
    ("another name", "own", "other.example.org", {}, "CertificateInvalid", "serverName"),
    ("no name given", "own", None, {}, "CertificateInvalid", "127.0.0.1"),
    ("expired", "own", NAME, {"days": -1}, "CertificateInvalid", "expired"),
    ("no PEM", "nonsense", NAME, {}, "CAInvalid", "BEGIN CERTIFICATE"),
    ("empty PEM", "", NAME, {}, "CAInvalid", "BEGIN CERTIFICATE"),
]


@pytest.mark.parametrize(
    ("pem", "name", "more", "reason", "told"),
    [case[1:] for case in CASES],
    ids=[c[0] for c in CASES],
)
def test_what_cannot_be_trusted_gets_no_credentials(
    serve_tls, authority, pem, name, more, reason, told
):
    product = serve_tls([x509.DNSName(NAME)], **more)
    result = asked(product, authority.pem if pem == "own" else pem, name)
    assert result.failure is not None
    assert (result.failure.reason, result.failure.needs_a_person) == (reason, True)
    assert told in result.failure.message
    assert product.requests == []


def test_https_to_a_plain_port_says_to_set_the_scheme(serve, authority):
    def refuse(plain):
        plain.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        return plain

    result = asked(serve(b"", wrap=refuse), authority.pem, NAME)
    assert result.failure is not None
    assert result.failure.reason == "TLSFailed"
    assert "set pods.scheme to HTTP" in result.failure.message


def test_http_to_a_tls_port_is_a_failure(serve_tls):
    product = serve_tls([x509.DNSName(NAME)])
    result = poll(product.port)
    assert result.failure is not None
    assert result.failure.reason in ("NotHTTP", "ConnectionLost")
    assert "set pods.scheme to HTTPS" in result.failure.message
    assert product.requests == []
