"""Rights of a role, and by the audit of an API server which of them were used."""

import re
from typing import Any, NamedTuple

_ALLOWED_BY = re.compile(r'of (?:Cluster)?Role "([a-z-]+)(?:/[a-z-]+)?" to ServiceAccount')


class Right(NamedTuple):
    """One thing that a role permits, or that was done under it; ``name`` None: any object."""

    role: str
    verb: str
    resource: str
    name: str | None = None

    def __str__(self) -> str:
        return " ".join([self.verb, self.resource, *filter(None, [self.name]), "by", self.role])


def granted(objects: list[dict[str, Any]], *roles: str) -> set[Right]:
    """Every right of the roles with these names, of the cluster or of a namespace."""
    return {
        Right(role["metadata"]["name"], verb, f"{group}/{resource}".lstrip("/"), name)
        for role in objects
        if role["kind"] in ("Role", "ClusterRole") and role["metadata"]["name"] in roles
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
        for name in rule.get("resourceNames", [None])
    }


def unused(rights: set[Right], asked: list[dict[str, Any]]) -> set[Right]:
    """The rights that no request was allowed by."""
    used = set()
    for event in asked:
        notes, ref = event.get("annotations", {}), event.get("objectRef", {})
        role = _ALLOWED_BY.search(notes.get("authorization.k8s.io/reason", ""))
        if role is None or notes["authorization.k8s.io/decision"] != "allow":
            continue
        resource = f"{ref.get('apiGroup', '')}/{ref['resource']}".lstrip("/")
        resource += f"/{ref['subresource']}" if "subresource" in ref else ""
        one = Right(role[1], event["verb"], resource)
        used |= {one, one._replace(name=ref.get("name"))}
        if event["verb"] == "patch" and event.get("responseStatus", {}).get("code") == 201:
            # Server-side apply of what is absent: the API server asks for the right to create, too.
            used |= {made._replace(verb="create") for made in (one, one._replace(name=ref["name"]))}
    return rights - used
