"""Which Secrets may be sent to a product, and what is told of the others."""

import pytest

from licenseusage.api.source import Source
from licenseusage.controller.effects.endpoints import EndpointBook
from licenseusage.controller.effects.reaching import Finder
from licenseusage.controller.effects.secrets import KEEP_BYTES, KEEP_SECONDS, SecretReader
from licenseusage.controller.rules.resources import SECRETS
from licenseusage.errors import Stalled
from licenseusage.sources.definition.presets import effective
from tests.controller.stage import Authority, credentials, secret, usage

pytestmark = pytest.mark.controlplane

LABEL = "licenseusage.dev/credentials"
OTHERS = {
    "untyped": {},
    "for basic authentication": {"type": "kubernetes.io/basic-auth"},
    "a label that says no": {"labels": {LABEL: "false"}},
    "a label of another name": {"labels": {"licenseusage.dev/credential": "true"}},
    "an annotation": {"annotations": {LABEL: "true"}},
}


@pytest.fixture
def reader(kube):
    return SecretReader(kube)


def made(namespace, *, type="Opaque", **meta):
    body = secret(namespace, "meter", username="hush-1", password="hush-2", **{"hush-3": "hush-4"})
    return {**body, "type": type, "metadata": {**body["metadata"], **meta}}


async def test_a_secret_of_our_type_is_sent(kube, reader, namespace):
    await kube.create(SECRETS, namespace, credentials(namespace, "meter", token="t"))
    assert (await reader.credentials(namespace, "meter", 0)).values == {"token": b"t"}


async def test_a_secret_that_somebody_else_makes_is_sent_once_it_is_labelled(
    kube, reader, namespace
):
    await kube.create(SECRETS, namespace, made(namespace))
    with pytest.raises(Stalled) as caught:
        await reader.credentials(namespace, "meter", 0)
    command = f"kubectl label secret meter --namespace={namespace} {LABEL}=true"
    assert caught.value.message.endswith(command)
    await kube.merge(SECRETS, namespace, "meter", {"metadata": {"labels": {LABEL: "true"}}})
    assert (await reader.credentials(namespace, "meter", 62)).values["username"] == b"hush-1"


async def test_the_command_of_the_message_permits_it(crds, kube, reader, namespace):
    await kube.create(SECRETS, namespace, made(namespace))
    with pytest.raises(Stalled) as caught:
        await reader.credentials(namespace, "meter", 0)
    crds.kubectl(*caught.value.message.partition("kubectl ")[2].split())
    assert (await reader.credentials(namespace, "meter", 62)).credentials


@pytest.mark.parametrize("kind", list(OTHERS))
async def test_no_other_secret_is_sent_and_nothing_in_it_is_told(kube, reader, namespace, kind):
    await kube.create(SECRETS, namespace, made(namespace, **OTHERS[kind]))
    with pytest.raises(Stalled) as caught:
        await reader.credentials(namespace, "meter", 0)
    assert caught.value.reason == "SecretNotCredentials"
    assert "hush" not in caught.value.message
    assert "username" not in caught.value.message


async def test_a_type_cannot_be_given_to_a_secret_later(crds, kube, namespace):
    await kube.create(SECRETS, namespace, made(namespace))
    done = crds.kubectl(
        *("patch", "secret", "meter", "-n", namespace, "--type=merge"),
        *("-p", '{"type": "licenseusage.dev/credentials"}'),
        check=False,
    )
    assert "field is immutable" in done.stderr


async def test_the_keys_of_a_secret_are_not_told(kube, reader, namespace):
    await kube.create(SECRETS, namespace, made(namespace))
    for read in (reader.secret, reader.certificates):
        with pytest.raises(Stalled) as caught:
            await read(namespace, "meter", "ca.crt", 0)
        assert caught.value.reason == "SecretKeyMissing"
        assert "hush" not in caught.value.message
        assert "password" not in caught.value.message


async def test_a_product_is_not_asked_with_a_secret_that_was_not_made_for_it(
    crds, kube, reader, namespace
):
    crds.create_pod(namespace, "shop-0", labels={"app": "shop"}, ports={"http": 80}, ip="10.1.2.3")
    await kube.create(SECRETS, namespace, made(namespace))
    (written,) = usage(namespace)["spec"]["sources"]
    written["auth"] = {"basic": {"secretRef": {"name": "meter"}}}
    source = effective(Source.model_validate(written))
    finder = Finder(kube, reader, EndpointBook(namespace, "endpoints"), loopback_allowed=False)
    with pytest.raises(Stalled) as caught:
        await finder.reach(namespace, source, "app=shop")
    assert caught.value.reason == "SecretNotCredentials"


async def test_of_an_authoritys_secret_only_certificates_are_taken(
    kube, reader, namespace, tmp_path
):
    """A Secret of cert-manager may hold the private key in the same value."""
    authority = Authority(tmp_path)
    certificate, key = authority.ca_file.read_text(), authority.key_file.read_text()
    bundle = secret(namespace, "ca", both=f"# hush\n{key}{certificate}", none=key)
    await kube.create(SECRETS, namespace, bundle)
    assert await reader.certificates(namespace, "ca", "both", 0) == certificate
    assert await reader.certificates(namespace, "ca", "none", 0) == ""


async def test_what_is_remembered_of_all_secrets_together_is_bounded(kube, reader, namespace):
    """An author of objects can name each of a namespace's Secrets, of a mebibyte each."""
    for number in range(10):
        large = secret(namespace, f"large-{number}", value="x" * 1_000_000)
        await kube.create(SECRETS, namespace, large)
        await reader.secret(namespace, f"large-{number}", "value", number)
        assert reader.kept_bytes <= KEEP_BYTES
    assert reader.kept_bytes >= KEEP_BYTES - 1_000_000
    await kube.create(SECRETS, namespace, secret(namespace, "small", value="x"))
    await reader.secret(namespace, "small", "value", 10 + KEEP_SECONDS)
    assert reader.kept_bytes == 1


async def test_what_was_read_shows_no_value(kube, reader, namespace):
    await kube.create(SECRETS, namespace, made(namespace))
    assert "hush" not in repr(await reader.read(SECRETS, namespace, "meter", 0))
