"""What the cluster shows of a LicenseUsage to a command in the operator's pod."""

from licenseusage.controller.rules.key import Key
from licenseusage.controller.rules.preview import Seen
from licenseusage.controller.rules.site import Site
from licenseusage.controller.rules.subject import Subject
from licenseusage.errors import UsageError
from licenseusage.reports.content import OperatorInfo
from licenseusage.reports.keyring import KeyRing
from tests.ledger import book

KEY_ID = "f" * 32


def seen(name="opencloud", **spec):
    raw = {
        "apiVersion": "licenseusage.dev/v1alpha1",
        "kind": "LicenseUsage",
        "metadata": {"name": name, "namespace": "default", "uid": "u", "generation": 1},
        "spec": {
            "product": "opencloud",
            "license": {"secretRef": {"name": "licence"}},
            "sources": [
                {
                    "name": "graph",
                    "preset": "Standard",
                    "pods": {"selector": {"matchLabels": {"app": "x"}}},
                }
            ],
            **spec,
        },
    }
    subject = Subject.read(Key("default", name), raw)
    assert not isinstance(subject.usage, UsageError)
    site = Site(OperatorInfo("0.1.0", None), 0, "system/identity")
    return Seen(subject, subject.usage, KeyRing(book.KEY), KEY_ID, site, 86_400_000, {})
