"""Servers outside of a namespace: only those that the operator's own settings allow it."""

from dataclasses import dataclass, field

import pytest

from licenseusage.controller.effects.endpoints import Endpoint, EndpointBook, resolve
from licenseusage.controller.effects.secrets import Data
from licenseusage.errors import Retryable, Stalled

BOOK = EndpointBook("licenseusage-system", "licenseusage-endpoints")
NATS = """
address: nats.nats.svc:4222
scheme: TLS
namespaces: [opencloud]
"""


@dataclass
class Reader:
    """A ConfigMap; none where it has no entries."""

    entries: dict[str, str] = field(default_factory=dict)

    async def read(self, _resource, namespace, name, _now_s):
        if not self.entries:
            raise Stalled("ConfigMapNotFound", f"ConfigMap {namespace}/{name} does not exist.")
        return Data({key: text.encode() for key, text in self.entries.items()})


async def find(entries, name="nats", namespace="opencloud", *, read_by="jetstream"):
    return await BOOK.find(Reader(entries), namespace, name, read_by=read_by, loop_s=0)


async def refusal(entries, **asked):
    with pytest.raises(Stalled) as caught:
        await find(entries, **asked)
    return caught.value


async def test_an_endpoint_is_found_by_a_namespace_that_may_name_it():
    found = await find({"nats": NATS})
    assert (found.host_port, found.scheme) == (("nats.nats.svc", 4222), "TLS")


async def test_unknown_and_not_allowed_are_told_alike_and_reveal_no_others():
    secret = NATS.replace("[opencloud]", "[elsewhere]").replace("nats.nats", "hidden.hidden")
    unknown = await refusal({"other": secret})
    foreign = await refusal({"nats": secret})
    without = await refusal({})
    assert unknown.reason == foreign.reason == without.reason == "EndpointNotAllowed"
    assert unknown.message == foreign.message == without.message
    for told in ("ConfigMap licenseusage-system/licenseusage-endpoints", "key nats", "opencloud"):
        assert told in unknown.message
    for hidden in ("elsewhere", "hidden", "other"):
        assert hidden not in foreign.message


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ("- a list", "cannot be read"),
        ("address: [", "cannot be read"),
        ("address: x:1\nscheme: TLS", "cannot be read"),
        (NATS + "token: x", "cannot be read"),
        (NATS.replace("TLS", "FTP"), "cannot be read"),
        (NATS.replace(":4222", ""), "needs an address such as"),
        (NATS.replace("4222", "70000"), "needs an address such as"),
        (NATS.replace("nats.nats.svc:", "user@nats:"), "needs an address such as"),
        (NATS.replace("nats.nats.svc:", "nats..svc:"), "needs an address such as"),
        (NATS.replace("nats.nats.svc:", "n" * 64 + ":"), "needs an address such as"),
        (NATS + "serverName: '*.svc'", "needs a serverName such as"),
        (NATS.replace("TLS", "HTTPS"), "has the scheme HTTPS: jetstream takes NATS or TLS"),
    ],
)
async def test_an_entry_that_cannot_be_used_is_named_without_quoting_it(entry, told):
    seen = await refusal({"nats": entry})
    assert seen.reason == "EndpointInvalid"
    assert "ConfigMap licenseusage-system/licenseusage-endpoints, key nats" in seen.message
    assert told in seen.message


async def test_a_list_of_users_may_be_read_from_an_endpoint_as_well():
    entry = NATS.replace("TLS", "HTTPS")
    assert (await find({"nats": entry}, read_by="http")).scheme == "HTTPS"
    assert "http takes HTTP or HTTPS" in (await refusal({"nats": NATS}, read_by="http")).message


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "localhost", "[::1]", "169.254.169.254", "0.0.0.0"),
        *("2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "169.254.43518", "127.1", "0177.1"),
        *("[::ffff:169.254.169.254]", "[64:ff9b::a9fe:a9fe]", "[fd00:ec2::254]"),
    ],
)
async def test_loopback_and_link_local_addresses_are_never_called(host):
    endpoint = Endpoint(f"{host}:4222", "TLS", ("opencloud",))
    with pytest.raises(Retryable) as caught:
        await resolve(endpoint, "nats", loopback_allowed=False)
    assert caught.value.reason == "AddressRefused"


async def test_loopback_is_allowed_in_development_only():
    endpoint = Endpoint("127.0.0.1:4222", "TLS", ("opencloud",))
    assert list(await resolve(endpoint, "nats", loopback_allowed=True)) == ["127.0.0.1"]
    node = Endpoint("169.254.169.254:80", "HTTP", ("opencloud",))
    with pytest.raises(Retryable):
        await resolve(node, "nats", loopback_allowed=True)


async def test_a_host_without_an_address_is_named():
    endpoint = Endpoint("nats.invalid:4222", "TLS", ("opencloud",))
    with pytest.raises(Retryable) as caught:
        await resolve(endpoint, "nats", loopback_allowed=False)
    assert caught.value.reason == "EndpointUnresolved"
    assert "The host nats.invalid of endpoint nats has no address" in caught.value.message
