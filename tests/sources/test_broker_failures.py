"""Each way in which no kind of broker can be read: the reason, what was seen, and the fix."""

import pytest

from hack.brokers import Server
from licenseusage.sources.poll import Certificate, Credentials, Target
from tests.sources.brokerkinds import Kind, Nats, Redis, Tls, as_, tls_target


@pytest.fixture(params=[Nats, Redis])
def kind(request) -> Kind:
    name = request.param.name
    return request.param(request.getfixturevalue(f"{name}_program"))


@pytest.fixture
def bare(kind, tmp_path):
    """A server without users and without a log."""
    with kind.server(tmp_path / "bare") as server:
        yield server


def test_a_user_with_the_documented_rights_can_read(kind, guarded):
    reader = kind.reader(guarded)
    assert reader.poll(**as_(kind, "meter", "s3cret")).failure is None
    assert reader.counted() == {"a"}


def test_a_wrong_password_names_the_secret_and_not_the_password(kind, guarded):
    failure = kind.reader(guarded).poll(**as_(kind, "meter", "wrong-pass")).failure
    assert (failure.reason, failure.needs_a_person) == ("Unauthorized", True)
    assert f"refuses the user or the password. Check Secret {kind.name}" in failure.message
    assert "wrong-pass" not in failure.message


def test_a_server_that_wants_a_password_says_where_to_give_it(kind, guarded):
    failure = kind.reader(guarded).poll().failure
    assert (failure.reason, failure.needs_a_person) == ("Unauthorized", True)
    assert "give them in auth.basic" in failure.message


@pytest.mark.parametrize(("user", "password"), [("stranger", "s"), ("looker", "l")])
def test_missing_rights_are_named(kind, guarded, user, password):
    failure = kind.reader(guarded).poll(**as_(kind, user, password)).failure
    assert (failure.reason, failure.needs_a_person) == ("AccessDenied", True)
    assert kind.rights in failure.message


def test_a_missing_log_is_named(kind, bare):
    failure = kind.reader(bare).poll().failure
    assert (failure.reason, failure.needs_a_person) == ("StreamNotFound", True)
    assert kind.missing in failure.message


def test_nobody_listening_is_told_with_the_address(kind, bare):
    reader = kind.reader(bare)
    bare.stop()
    result = reader.poll()
    assert result.failure.reason == "Unreachable"
    assert "connection refused" in result.failure.message
    assert "Source events, pod-0: 127.0.0.1:" in result.failure.message
    assert result.seconds < 3


def test_a_server_without_the_log_leads_to_the_next(kind, bare, tmp_path):
    kind.write(bare)
    reader = kind.reader(bare)
    with kind.server(tmp_path / "fresh") as fresh:
        empty = Target("127.0.0.1", fresh.port, kind.scheme, "pod-fresh")
        result = reader.poll(targets=(empty, reader.target))
    assert (result.failure, result.target, result.users_listed) == (None, "pod-0", 1)
    assert (
        "Source events: pod-fresh (StreamNotFound) did not answer as it should; pod-0 did. See its "
        "log."
    ) in result.notes


# -- TLS --


def by_tls(kind: Kind, server: Server, *target, **request):
    return kind.reader(server).poll(targets=(tls_target(server, *target),), **request)


def test_tls_with_the_authority_and_a_password_is_read(kind, secured, authority):
    reader = kind.reader(secured)
    target = tls_target(secured, authority)
    result = reader.poll(targets=(target,), **as_(kind, "meter", "s3cret"))
    assert result.failure is None
    assert reader.counted() == {"a"}


def test_a_certificate_of_another_authority_is_not_trusted(kind, secured):
    failure = by_tls(kind, secured, None, **as_(kind, "meter", "s3cret")).failure
    assert (failure.reason, failure.needs_a_person) == ("CertificateInvalid", True)
    assert "pods.tls.caSecretRef" in failure.message


def test_a_certificate_of_another_name_is_not_trusted(kind, secured, authority):
    other = "other.example.org"
    failure = by_tls(kind, secured, authority, other, **as_(kind, "meter", "s3cret")).failure
    assert failure.reason == "CertificateInvalid"
    assert "pods.tls.serverName" in failure.message


@pytest.mark.parametrize("presented", [True, False])
def test_a_server_that_verifies_its_clients_is_read_with_a_certificate_only(
    kind, tmp_path, authority, presented
):
    own = Certificate(authority.cert_file.read_text(), authority.key_file.read_text())
    pods = {"selector": {"matchLabels": {"app": "x"}}, "port": 4222, "scheme": "TLS"}
    source = kind.source(pods=pods, auth={"clientCertificate": {"secretRef": {"name": "own"}}})
    given = {"source": source, "credentials": Credentials(certificate=own)}
    tls = Tls(authority, verified=True)
    with kind.server(tmp_path / "mtls", tls=tls) as server:
        kind.write(server, tls=tls)
        reader = kind.reader(server)
        target = tls_target(server, authority)
        failure = reader.poll(targets=(target,), **(given if presented else {})).failure
    if presented:
        assert failure is None
        assert reader.counted() == {"a"}
    else:
        assert failure.reason in kind.unpresented
