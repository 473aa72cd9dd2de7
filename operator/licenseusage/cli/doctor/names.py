"""What an operator's Deployment says of the names that it uses."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from licenseusage.cli.operatorpods import LEDGER_SETTING
from licenseusage.controller.settings import PREFIX, Settings

Manifest = Mapping[str, Any]
DEFAULTS = Settings()


@dataclass(frozen=True, slots=True)
class Names:
    """Names of what an operator uses, as its Deployment sets them.

    Attributes:
        identity: Secret of the key that signs.
        pseudonym: Secret of the key of the pseudonyms.
        vendor_keys: ConfigMap of the vendor's public keys.
        endpoints: ConfigMap of servers elsewhere.
        statements: ConfigMap that the operator writes.
        account: Its ServiceAccount.
        namespaces: What it watches; empty: all.
        backup: ``Export`` or ``Elsewhere``.
        one_file: The ledger is one SQLite file.
    """

    identity: str = DEFAULTS.identity_secret
    pseudonym: str = DEFAULTS.pseudonym_secret
    vendor_keys: str = DEFAULTS.vendor_keys_configmap
    endpoints: str = DEFAULTS.endpoints_configmap
    statements: str = DEFAULTS.key_statements_configmap
    account: str = "licenseusage-operator"
    namespaces: tuple[str, ...] = ()
    backup: str = DEFAULTS.keys_backup
    one_file: bool = True

    @classmethod
    def of(cls, deployment: Manifest | None) -> "Names":
        """Read them from a Deployment; the defaults without one."""
        if deployment is None:
            return cls()
        template = deployment["spec"]["template"]["spec"]
        container = operator_container(deployment) or {}
        own = deployment["metadata"].get("namespace", "")
        env = {item["name"]: _value(item, own) for item in container.get("env") or ()}

        def setting(field_: str) -> str:
            default = getattr(DEFAULTS, field_)
            return env.get(f"{PREFIX}{field_.upper()}") or (default if default else "")

        watched = env.get(f"{PREFIX}NAMESPACES", "")
        return cls(
            identity=setting("identity_secret"),
            pseudonym=setting("pseudonym_secret"),
            vendor_keys=setting("vendor_keys_configmap"),
            endpoints=setting("endpoints_configmap"),
            statements=setting("key_statements_configmap"),
            account=template.get("serviceAccountName") or "default",
            namespaces=tuple(filter(None, (part.strip() for part in watched.split(",")))),
            backup=setting("keys_backup"),
            one_file=setting("database_url").startswith("sqlite"),
        )


def operator_container(workload: Manifest) -> Manifest | None:
    """Return the container of a Deployment whose environment names the ledger."""
    spec = workload["spec"].get("template", {}).get("spec") or workload["spec"]
    for container in spec.get("containers") or ():
        if any(item.get("name") == LEDGER_SETTING for item in container.get("env") or ()):
            return dict(container)
    return None


def _value(variable: Manifest, namespace: str) -> str:
    source = (variable.get("valueFrom") or {}).get("fieldRef") or {}
    if source.get("fieldPath") == "metadata.namespace":
        return namespace
    return str(variable.get("value") or "")
