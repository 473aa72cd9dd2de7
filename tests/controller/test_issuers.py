"""Where an access token is requested: at the product, or where a product could be as well."""

import json

import pytest

from licenseusage.api.source import Source
from licenseusage.controller.effects.endpoints import EndpointBook
from licenseusage.controller.effects.reaching import Finder
from licenseusage.controller.effects.secrets import SecretReader
from licenseusage.controller.rules.resources import CONFIGMAPS, PODS, SECRETS, SERVICES, Dependency
from licenseusage.errors import Failure, Stalled, UsageError
from licenseusage.sources.definition.presets import effective
from tests.controller.stage import credentials, secret
from tests.sources.product import written

pytestmark = pytest.mark.controlplane

BOOK = "issuers"
IDP = {"name": "idp", "port": 443, "tls": {"caSecretRef": {"name": "idp-ca", "key": "ca.crt"}}}


def declared(**oauth2):
    auth = {"oauth2": {"tokenPath": "/token", "secretRef": {"name": "meter"}, **oauth2}}
    return effective(Source.model_validate(written().to_object() | {"auth": auth}))


@pytest.fixture
def finder(kube, namespace):
    book = EndpointBook(namespace, BOOK)
    return Finder(kube, SecretReader(kube), book, loopback_allowed=False)


@pytest.fixture
def place(crds, namespace):
    """A pod, its client, a Service of an issuer, and two endpoints, of which one is another's."""
    crds.create_pod(namespace, "x-0", labels={"app": "x"}, ports={"http": 80}, ip="10.1.2.3")
    crds.apply(credentials(namespace, "meter", client_id="c", client_secret="s"))
    crds.apply(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "idp", "namespace": namespace},
            "spec": {"selector": {"app": "idp"}, "ports": [{"port": 443}]},
        }
    )
    entry = {"address": "10.9.9.9:8443", "scheme": "HTTPS", "serverName": "sso.example.org"}
    entries = {"sso": entry | {"namespaces": [namespace]}, "other": entry | {"namespaces": ["x"]}}
    crds.apply(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": BOOK, "namespace": namespace},
            "data": {name: json.dumps(one) for name, one in entries.items()},
        }
    )
    return namespace


async def test_by_default_the_product_issues_its_tokens(finder, place):
    reach = await finder.reach(place, declared(), "app=x")
    assert reach.issuers == ()
    assert reach.credentials.values == {"client_id": "c", "client_secret": "s"}


async def test_a_service_of_the_namespace_issues_them(finder, place):
    service = {"name": "idp", "port": 443}
    (issuer,) = (await finder.reach(place, declared(service=service), "app=x")).issuers
    assert (issuer.port, issuer.scheme) == (443, "HTTPS")
    assert issuer.server_name == f"idp.{place}.svc"
    assert (await finder.look(place, declared(service=service), "app=x")).issuers == (issuer,)


async def test_an_endpoint_of_the_settings_issues_them(finder, place):
    (issuer,) = (await finder.reach(place, declared(endpoint="sso"), "app=x")).issuers
    assert (issuer.host, issuer.port) == ("10.9.9.9", 8443)
    assert issuer.server_name == "sso.example.org"


async def test_an_endpoint_that_the_namespace_may_not_use_is_refused(finder, place):
    with pytest.raises(Stalled) as caught:
        await finder.reach(place, declared(endpoint="other"), "app=x")
    assert caught.value.reason == "EndpointNotAllowed"


async def test_a_service_that_is_not_there_is_named_by_its_field(finder, place):
    with pytest.raises(UsageError) as caught:
        await finder.reach(place, declared(service={"name": "gone", "port": 1}), "app=x")
    assert caught.value.reason == "ServiceNotFound"
    assert "spec.sources[].auth.oauth2.service.name" in caught.value.message


def test_what_would_mend_it_is_watched(finder, namespace):
    def on(source, reason):
        return finder.depends(namespace, source, "app=x", Failure(reason, "m"))

    service, endpoint = declared(service=IDP), declared(endpoint="sso")
    pods = Dependency(PODS, namespace, selector="app=x")
    assert on(service, "ServiceNotFound") == {pods, Dependency(SERVICES, namespace, "idp")}
    secrets = {Dependency(SECRETS, namespace, name) for name in ("meter", "idp-ca")}
    assert on(service, "SignInRefused") == secrets
    assert on(endpoint, "EndpointNotAllowed") == {
        Dependency(SECRETS, namespace, "meter"),
        Dependency(CONFIGMAPS, namespace, BOOK),
    }


async def test_a_clients_certificate_is_read_like_other_credentials(crds, finder, place):
    auth = {"clientCertificate": {"secretRef": {"name": "mtls"}}}
    whole = written(pods={"scheme": "HTTPS"}).to_object() | {"auth": auth}
    mutual = effective(Source.model_validate(whole))
    pair = {"tls.crt": "-----BEGIN CERTIFICATE-----", "tls.key": "-----BEGIN PRIVATE KEY-----"}
    made = secret(place, "mtls", **pair) | {"type": "kubernetes.io/tls"}
    crds.apply(made)
    with pytest.raises(Stalled) as caught:
        await finder.reach(place, mutual, "app=x")
    assert caught.value.reason == "SecretNotCredentials"
    crds.kubectl("label", "secret", "mtls", "-n", place, "licenseusage.dev/credentials=true")
    reach = await finder.reach(place, mutual, "app=x")
    assert reach.credentials.certificate.key_pem == "-----BEGIN PRIVATE KEY-----"
    watched = finder.depends(place, mutual, "app=x", Failure("ClientCertificateRefused", "m"))
    assert watched == {Dependency(SECRETS, place, "mtls")}
