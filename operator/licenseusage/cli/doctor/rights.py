"""The rights that the operator needs: those of the roles of ``manifests/base``, as a test says."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from licenseusage.cli.doctor.names import Names


class Scope(StrEnum):
    """Where a right is needed."""

    CLUSTER = "cluster"
    """In every namespace that is watched; ClusterRole ``licenseusage-operator``."""
    OWN = "own"
    """In the operator's namespace; Role ``licenseusage-operator``."""
    PRODUCT = "product"
    """In the namespaces of LicenseUsages; ClusterRole ``licenseusage-collector``."""


@dataclass(frozen=True, slots=True)
class Right:
    """Something that the operator has to be allowed to do.

    Attributes:
        scope: Where.
        verb: As in a role.
        group: API group; empty: the core group.
        resource: Plural, with its subresource after a slash.
        name: Attribute of `Names`, or a name; empty: any object.
        optional: Without it something small is missing, and nothing fails.
    """

    scope: Scope
    verb: str
    group: str
    resource: str
    name: str = ""
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """A right in one namespace.

    Attributes:
        right: The right.
        namespace: Where; empty: in all namespaces.
        name: Of the object; empty: any.
    """

    right: Right
    namespace: str
    name: str

    def __str__(self) -> str:
        """Return it in words."""
        right = self.right
        kind = f"{right.resource}.{right.group}" if right.group else right.resource
        where = f" in namespace {self.namespace}" if self.namespace else ""
        return " ".join(filter(None, [right.verb, kind, self.name])) + where

    def review(self, namespace: str, account: str) -> dict[str, object]:
        """Return the SubjectAccessReview that asks whether a ServiceAccount has it."""
        resource, _, subresource = self.right.resource.partition("/")
        asked = {
            "namespace": self.namespace,
            "verb": self.right.verb,
            "group": self.right.group,
            "resource": resource,
            "subresource": subresource,
            "name": self.name,
        }
        return {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {
                "user": f"system:serviceaccount:{namespace}:{account}",
                "groups": [
                    "system:serviceaccounts",
                    f"system:serviceaccounts:{namespace}",
                    "system:authenticated",
                ],
                "resourceAttributes": {key: value for key, value in asked.items() if value},
            },
        }


_OURS = "licenseusage.dev"

RIGHTS: tuple[Right, ...] = (
    *(
        Right(Scope.CLUSTER, verb, _OURS, resource)
        for resource in ("licenseusages", "usagereceipts")
        for verb in ("get", "list", "watch")
    ),
    *(
        Right(Scope.CLUSTER, verb, _OURS, "usagereports")
        for verb in ("get", "list", "create", "delete")
    ),
    *(
        Right(Scope.CLUSTER, "patch", _OURS, f"{resource}/status")
        for resource in ("licenseusages", "usagereports", "usagereceipts")
    ),
    *(Right(Scope.CLUSTER, verb, "events.k8s.io", "events") for verb in ("create", "patch")),
    Right(Scope.CLUSTER, "get", "", "namespaces", "kube-system", optional=True),
    Right(Scope.OWN, "create", "", "secrets"),
    Right(Scope.OWN, "get", "", "secrets", "identity"),
    Right(Scope.OWN, "get", "", "secrets", "pseudonym"),
    Right(Scope.OWN, "update", "", "secrets", "identity"),
    Right(Scope.OWN, "get", "", "configmaps", "vendor_keys"),
    Right(Scope.OWN, "get", "", "configmaps", "endpoints"),
    *(
        Right(Scope.OWN, verb, "", "configmaps", "statements")
        for verb in ("get", "create", "patch")
    ),
    Right(Scope.PRODUCT, "list", "", "pods"),
    *(
        Right(Scope.PRODUCT, "get", "", resource)
        for resource in ("services", "configmaps", "secrets")
    ),
)


def asked(names: Names, own: str, products: Iterable[str]) -> Iterator[Asked]:
    """Yield what an operator has to be allowed, namespace by namespace.

    Args:
        names: Of what it uses.
        own: Its namespace.
        products: Namespaces of LicenseUsages.
    """
    products = sorted(set(products))
    for right in RIGHTS:
        name = getattr(names, right.name, right.name) if right.name else ""
        if right.scope is Scope.OWN:
            yield Asked(right, own, name)
        elif right.scope is Scope.PRODUCT:
            yield from (Asked(right, namespace, name) for namespace in products)
        elif right.resource == "namespaces":
            yield Asked(right, "", name)
        else:
            yield from (Asked(right, namespace, name) for namespace in names.namespaces or ("",))
