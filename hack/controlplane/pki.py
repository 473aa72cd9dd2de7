"""Keys and certificates of one control plane: made fresh, valid for days, kept nowhere."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_VALID = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Files:
    """Paths of the PEM files that the API server and its administrator need."""

    ca: Path
    server_certificate: Path
    server_key: Path
    admin_certificate: Path
    admin_key: Path
    service_account_key: Path


def create(folder: Path, names: Sequence[str] = ()) -> Files:
    """Make a CA, the API server's certificate for 127.0.0.1, and an administrator's, in ``folder``.

    The administrator is in the group ``system:masters``, which Kubernetes' own RBAC binds to
    ``cluster-admin``.

    Args:
        folder: One that exists.
        names: Further DNS names of the server.
    """
    files = Files(
        *(
            folder / name
            for name in ("ca.crt", "server.crt", "server.key", "admin.crt", "admin.key", "sa.key")
        )
    )
    now = datetime.now(UTC)
    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "licenseusage throw-away CA")])
    usage = {
        "digital_signature": True,
        "content_commitment": False,
        "key_encipherment": False,
        "data_encipherment": False,
        "key_agreement": False,
        "key_cert_sign": True,
        "crl_sign": True,
        "encipher_only": False,
        "decipher_only": False,
    }
    subject_key = x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key())
    ca = (
        _builder(ca_name, ca_name, ca_key.public_key(), now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.KeyUsage(**usage), critical=True)
        .add_extension(subject_key, critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    files.ca.write_bytes(ca.public_bytes(serialization.Encoding.PEM))
    authority_key = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(subject_key)

    def issue(name: x509.Name, kind: x509.ObjectIdentifier, certificate: Path, key: Path) -> None:
        private = ec.generate_private_key(ec.SECP256R1())
        builder = (
            _builder(name, ca_name, private.public_key(), now)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([kind]), critical=False)
            .add_extension(authority_key, critical=False)
        )
        if kind == ExtendedKeyUsageOID.SERVER_AUTH:
            of_server: list[x509.GeneralName] = [
                x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
                x509.DNSName("localhost"),
                x509.DNSName("kubernetes.default.svc"),
                *map(x509.DNSName, names),
            ]
            builder = builder.add_extension(x509.SubjectAlternativeName(of_server), critical=False)
        signed = builder.sign(ca_key, hashes.SHA256())
        certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
        _write_key(key, private)

    issue(
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kube-apiserver")]),
        ExtendedKeyUsageOID.SERVER_AUTH,
        files.server_certificate,
        files.server_key,
    )
    issue(
        x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, "system:masters"),
                x509.NameAttribute(NameOID.COMMON_NAME, "licenseusage-admin"),
            ]
        ),
        ExtendedKeyUsageOID.CLIENT_AUTH,
        files.admin_certificate,
        files.admin_key,
    )
    _write_key(files.service_account_key, ec.generate_private_key(ec.SECP256R1()))
    return files


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + _VALID)
    )


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    path.touch(mode=0o600)
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            # SEC 1 ("EC PRIVATE KEY"): the API server reads service-account keys in no other form.
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
    )
