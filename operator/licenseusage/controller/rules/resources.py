"""Kinds of objects in the cluster, and one object on which others depend."""

from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import quote

from licenseusage.controller.rules.key import Key


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind as the API server's paths name it; group "" is the core group."""

    group: str
    version: str
    plural: str

    @property
    def api_version(self) -> str:
        """``group/version``, as objects name it."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(
        self, namespace: str | None = None, name: str | None = None, subresource: str = ""
    ) -> str:
        """Return the path of a collection, an object or its subresource."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        parts = [root]
        if namespace is not None:
            parts.append(f"namespaces/{quote(namespace, safe='')}")
        parts.append(self.plural)
        if name is not None:
            parts.append(quote(name, safe=""))
        if subresource:
            parts.append(subresource)
        return "/".join(parts)


PODS = Resource("", "v1", "pods")
SERVICES = Resource("", "v1", "services")
SECRETS = Resource("", "v1", "secrets")
CONFIGMAPS = Resource("", "v1", "configmaps")
NAMESPACES = Resource("", "v1", "namespaces")
EVENTS = Resource("events.k8s.io", "v1", "events")
USAGES = Resource("licenseusage.dev", "v1alpha1", "licenseusages")
REPORTS = Resource("licenseusage.dev", "v1alpha1", "usagereports")
RECEIPTS = Resource("licenseusage.dev", "v1alpha1", "usagereceipts")
TOKEN_REVIEWS = Resource("authentication.k8s.io", "v1", "tokenreviews")


class Dependency(NamedTuple):
    """Something in the cluster that an object waits for.

    Attributes:
        name: Of one object; "": all that the selector finds.
        selector: Labels in the API server's text form.
    """

    resource: Resource
    namespace: str
    name: str = ""
    selector: str = ""


USAGE_LABEL = f"{USAGES.group}/usage"
"""Of a UsageReport: the name of the LicenseUsage that it is about."""


def reports_of(key: Key) -> Dependency:
    """Return the UsageReports of a LicenseUsage, as something that it depends on."""
    return Dependency(REPORTS, key.namespace, selector=f"{USAGE_LABEL}={key.name}")
