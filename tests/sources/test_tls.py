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

from licenseusage.api.source import Source
from licenseusage.errors import Stalled
from licenseusage.sources.definition.presets import effective
from licenseusage.sources.http.trouble import cannot_connect
from licenseusage.sources.poll import Certificate, Credentials, Target, certificate
from tests.sources.product import SECRET, USERS, Product, answer, poll, source, written

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

    def issue(self, names, *, days=1) -> Certificate:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "pod")])
        signed = self._sign(subject, key, names, days=days)
        private = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        public = signed.public_bytes(serialization.Encoding.PEM)
        return Certificate(public.decode(), private.decode())

    def server(self, names, *, days=1, clients=None) -> ssl.SSLContext:
        """What a server speaks TLS with; ``clients``: who issues the clients' certificates."""
        issued = self.issue(names, days=days)
        path = self.folder / f"{len(list(self.folder.iterdir()))}.pem"
        path.write_text(issued.key_pem + issued.chain_pem)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        if clients is not None:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(cadata=clients.pem)
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


# -- certificates of our own --

OWN = {"clientCertificate": {"secretRef": {"name": "mtls"}}}
SECURE = {"scheme": "HTTPS"}


def with_auth(auth):
    return effective(Source.model_validate(written(pods=SECURE).to_object() | {"auth": auth}))


PRESENTED = source(pods=SECURE, auth=OWN)


def presenting(product: Product, authority: Authority, own, read=PRESENTED, **values):
    target = Target(
        "127.0.0.1", product.port, "HTTPS", "pod-0", ca_pem=authority.pem, server_name=NAME
    )
    given = Credentials(header_value=f"Bearer {SECRET}", certificate=own, values=values)
    return poll(0, read, targets=(target,), credentials=given)


def test_a_certificate_is_presented_beside_other_credentials(serve_tls, authority):
    product = serve_tls([x509.DNSName(NAME)], clients=authority)
    result = presenting(product, authority, authority.issue([]))
    assert (result.failure, result.counted) == (None, 2)
    assert product.requests[0].headers["authorization"] == f"Bearer {SECRET}"


def test_a_certificate_alone_is_enough(serve_tls, authority):
    read = with_auth(OWN)
    assert (read.auth, read.client_certificate) == (None, "mtls")
    product = serve_tls([x509.DNSName(NAME)], clients=authority)
    assert presenting(product, authority, authority.issue([]), read).counted == 2
    assert "authorization" not in product.requests[0].headers


def test_a_product_that_wants_a_certificate_says_so(serve_tls, authority):
    product = serve_tls([x509.DNSName(NAME)], clients=authority)
    result = presenting(product, authority, None, source(pods=SECURE))
    assert result.failure.reason in ("ClientCertificateRefused", "ConnectionLost")
    assert "give one in auth.clientCertificate" in result.failure.message
    assert product.requests == []


def test_a_certificate_of_another_authority_is_refused(serve_tls, authority, tmp_path):
    product = serve_tls([x509.DNSName(NAME)], clients=authority)
    result = presenting(product, authority, Authority(tmp_path).issue([]))
    assert result.failure.reason in ("ClientCertificateRefused", "ConnectionLost")
    assert product.requests == []


@pytest.mark.parametrize(
    ("alert", "presented", "reason", "fix"),
    [
        ("TLSV13_ALERT_CERTIFICATE_REQUIRED", False, "ClientCertificateRefused", "give one in"),
        ("TLSV1_ALERT_UNKNOWN_CA", True, "ClientCertificateRefused", "its authority"),
        ("SSLV3_ALERT_CERTIFICATE_EXPIRED", True, "ClientCertificateRefused", "its dates"),
        ("SSLV3_ALERT_CERTIFICATE_REVOKED", True, "ClientCertificateRefused", "Check the"),
        ("SSLV3_ALERT_HANDSHAKE_FAILURE", True, "TLSFailed", "TLS settings"),
        ("SSLV3_ALERT_HANDSHAKE_FAILURE", False, "TLSFailed", "give one in"),
        ("TLSV1_ALERT_DECRYPT_ERROR", True, "ClientCertificateRefused", "Check the"),
        ("TLSV1_ALERT_DECRYPT_ERROR", False, "TLSFailed", "TLS settings"),
        (None, False, "TLSFailed", "handshake failed"),
    ],
)
def test_the_servers_alert_says_whether_it_is_the_certificate(alert, presented, reason, fix):
    error = ssl.SSLError(1, "x")
    error.reason = alert
    made = cannot_connect(Target("10.0.0.1", 443, "HTTPS"), error, presented=presented)
    assert made.reason == reason
    assert fix in made.message


def test_a_certificate_with_another_ones_key_is_noticed_before_a_call(serve_tls, authority):
    mine, other = authority.issue([]), authority.issue([])
    product = serve_tls([x509.DNSName(NAME)], clients=authority)
    result = presenting(product, authority, Certificate(mine.chain_pem, other.key_pem))
    assert result.failure.reason == "CredentialsInvalid"
    assert "do not belong together" in result.failure.message
    for line in other.key_pem.splitlines()[1:-1]:
        assert line not in repr(result)


def test_a_certificate_is_not_left_out_in_silence_where_there_is_no_tls(serve, authority):
    product = serve(answer({"value": USERS}))
    target = Target("127.0.0.1", product.port, label="pod-0")
    given = Credentials(certificate=authority.issue([]))
    result = poll(0, PRESENTED, targets=(target,), credentials=given)
    assert result.failure.reason == "CredentialsInvalid"
    assert "needs TLS" in result.failure.message
    assert product.requests == []


def test_a_token_is_requested_with_the_certificate_too(serve_tls, authority):
    oauth2 = {"tokenPath": "/token", "secretRef": {"name": "s"}}
    product = serve_tls([x509.DNSName(NAME)], clients=authority)
    product.respond = lambda asked: answer(
        {"access_token": "t"} if asked.path == "/token" else {"value": USERS}
    )
    client = {"client_id": "c", "client_secret": SECRET}
    result = presenting(
        product, authority, authority.issue([]), with_auth(OWN | {"oauth2": oauth2}), **client
    )
    assert (result.failure, result.counted) == (None, 2)


def test_a_login_is_posted_with_the_certificate_too(serve_tls, authority):
    login = {"path": "/login", "secretRef": {"name": "s"}, "token": {"path": "t"}}
    product = serve_tls([x509.DNSName(NAME)], clients=authority)
    product.respond = lambda asked: answer({"t": "t"} if asked.body else {"value": USERS})
    account = {"username": "u", "password": SECRET}
    result = presenting(
        product, authority, authority.issue([]), with_auth(OWN | {"login": login}), **account
    )
    assert (result.failure, result.counted) == (None, 2)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"tls.key": None}, "SecretKeyMissing"),
        ({"tls.crt": None}, "SecretKeyMissing"),
        ({"tls.crt": b"\xff\x00"}, "SecretInvalid"),
        ({"tls.key": b"hush-4711"}, "SecretInvalid"),
        ({"tls.key": b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nhush-4711"}, "SecretInvalid"),
    ],
)
def test_what_is_no_certificate_is_told_without_its_value(authority, changed, reason):
    own = authority.issue([])
    values = {"tls.crt": own.chain_pem.encode(), "tls.key": own.key_pem.encode()} | changed
    with pytest.raises(Stalled) as caught:
        certificate({key: raw for key, raw in values.items() if raw is not None}, "Secret s")
    assert caught.value.reason == reason
    assert "hush" not in caught.value.message


def test_a_certificate_is_never_printed(authority):
    own = authority.issue([])
    assert "PRIVATE" not in repr(own)
    assert "PRIVATE" not in repr(Credentials(certificate=own))


def test_a_certificate_is_no_part_of_the_definition():
    assert PRESENTED.digest() == source(pods=SECURE).digest()
