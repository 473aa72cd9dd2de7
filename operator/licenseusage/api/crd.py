"""The CustomResourceDefinitions, generated from the models.

``crds/*.yaml`` is what this module says, byte for byte (a test compares). Nothing is written by
hand there, so model and schema cannot drift apart.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import yaml
from pydantic import JsonValue

from licenseusage.api import GROUP, VERSION
from licenseusage.api.licenseusage import LicenseUsage
from licenseusage.api.model import VALIDATIONS, ApiModel, Rule
from licenseusage.api.structural import Schema, structural
from licenseusage.api.usagereceipt import UsageReceipt
from licenseusage.api.usagereport import UsageReport

NAME_CHARACTERS = 40
"""The longest name of a LicenseUsage: the names of its UsageReports are made from it."""

KEPT = {
    "argocd.argoproj.io/sync-options": "Prune=false,Delete=false",
    "kustomize.toolkit.fluxcd.io/prune": "disabled",
}
"""GitOps tools never delete a definition: every LicenseUsage and report would go with it."""

HEADER = """\
# Generated from the models in operator/licenseusage/api by `licenseusage crds`; do not edit.
"""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of ``kubectl get``; ``wide`` ones are shown with ``-o wide`` only."""

    name: str
    json_path: str
    description: str
    type: str = "string"
    wide: bool = False


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of resource: its names, its model and how it is shown."""

    model: type[ApiModel]
    plural: str
    short: str
    description: str
    columns: tuple[Column, ...]
    selectable: tuple[str, ...]
    rules: tuple[Rule, ...] = ()
    default_status: bool = True
    """Whether ``observedGeneration`` begins at -1: a new object is not Current for kstatus then."""
    name: str = field(init=False)

    def __post_init__(self) -> None:
        """Take the kind's name from the model."""
        object.__setattr__(self, "name", self.model.__name__)


AGE = Column("Age", ".metadata.creationTimestamp", "time since creation", "date")

LICENSE_USAGE = Kind(
    model=LicenseUsage,
    plural="licenseusages",
    short="lu",
    description="LicenseUsage counts how many different people used a product in a billing cycle, "
    "states the evidence, and sends the vendor a signed report.",
    columns=(
        Column("Active", ".status.activeText", "active users of the running cycle"),
        # Its age tells an old number also where nobody is left to say so in a condition.
        Column("As-Of", ".status.asOfTime", "time up to which the number is stated", "date"),
        Column("Entitled", ".status.maximumActiveUsers", "users that are paid for", "integer"),
        Column("Cycle-Ends", ".status.cycle.endDate", "day on which the running cycle ends, UTC"),
        Column(
            "Reported", ".status.lastReport.acceptedTime", "last acceptance by the vendor", "date"
        ),
        Column(
            "Ready",
            '.status.conditions[?(@.type=="Ready")].status',
            "whether spec, licence and polls are fine",
        ),
        AGE,
        Column("Product", ".spec.product", "the vendor's id of the product", wide=True),
        Column(
            "Provisioned",
            ".status.provisionedUsers",
            "users that the product lists",
            "integer",
            wide=True,
        ),
        Column("Accuracy", ".status.accuracy", "how the number is to be read", wide=True),
        Column(
            "Last-Cycle",
            ".status.history[0].activeText",
            "number of the last ended cycle",
            wide=True,
        ),
        Column(
            "Reason", '.status.conditions[?(@.type=="Ready")].reason', "reason of Ready", wide=True
        ),
    ),
    selectable=(".spec.product",),
    rules=(
        Rule(
            f"self.metadata.name.size() <= {NAME_CHARACTERS}",
            f"the name must have at most {NAME_CHARACTERS} characters: the names of its reports "
            "begin with it",
            '\'the name "%s" has %d characters and may have '
            f"{NAME_CHARACTERS}: the names of its reports begin with it'"
            ".format([self.metadata.name, self.metadata.name.size()])",
            field_path=".metadata.name",
        ),
    ),
)

USAGE_REPORT = Kind(
    model=UsageReport,
    plural="usagereports",
    short="ur",
    description="UsageReport is one signed statement about a billing cycle, exactly as it is sent "
    "to the vendor. It is evidence, so it stays when its LicenseUsage is deleted.",
    columns=(
        Column("Kind", ".spec.kind", "Interim, Final or Amendment"),
        Column("Active", ".spec.activeText", "active users of the cycle"),
        Column("Cycle-Starts", ".spec.cycle.startDate", "day on which the cycle began, UTC"),
        Column("Delivery", ".status.delivery", "state of the delivery"),
        AGE,
        Column("Usage", ".spec.usageName", "the LicenseUsage whose users were counted", wide=True),
        Column("Reason", ".status.reason", "why the report is not accepted yet", wide=True),
    ),
    selectable=(".spec.usageName", ".spec.kind"),
    default_status=False,
)

USAGE_RECEIPT = Kind(
    model=UsageReceipt,
    plural="usagereceipts",
    short="urc",
    description="UsageReceipt imports the vendor's signed receipts by hand or by GitOps, for "
    "clusters without a network route to the vendor.",
    columns=(
        Column("Receipts", ".status.total", "number of receipts", "integer"),
        Column("Accepted", ".status.accepted", "receipts that accept a document", "integer"),
        Column(
            "Ready",
            '.status.conditions[?(@.type=="Ready")].status',
            "whether all receipts were used",
        ),
        Column("Reason", '.status.conditions[?(@.type=="Ready")].reason', "reason of Ready"),
        AGE,
    ),
    selectable=(),
)

KINDS = (LICENSE_USAGE, USAGE_RECEIPT, USAGE_REPORT)


def crd(kind: Kind) -> dict[str, Any]:
    """Return the CustomResourceDefinition of one kind as a plain object.

    Raises:
        NotStructuralError: The model uses what a CRD cannot express.
    """
    version: dict[str, Any] = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": _root_schema(kind)},
        "subresources": {"status": {}},
        "additionalPrinterColumns": [_column(column) for column in kind.columns],
    }
    if kind.selectable:
        version["selectableFields"] = [{"jsonPath": path} for path in kind.selectable]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": file_stem(kind), "annotations": dict(KEPT)},
        "spec": {
            "group": GROUP,
            "names": {
                "kind": kind.name,
                "listKind": f"{kind.name}List",
                "plural": kind.plural,
                "singular": kind.name.lower(),
                "shortNames": [kind.short],
            },
            "scope": "Namespaced",
            "versions": [version],
        },
    }


def file_stem(kind: Kind) -> str:
    """Return the name of the CRD, which is the name of its file as well."""
    return f"{kind.plural}.{GROUP}"


def files() -> dict[str, str]:
    """Return the content of ``crds/``: file name to text, a kustomization among them."""
    texts = {f"{file_stem(kind)}.yaml": HEADER + _yaml(crd(kind)) for kind in KINDS}
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": sorted(texts),
    }
    return texts | {"kustomization.yaml": HEADER + _yaml(kustomization)}


def manifest() -> str:
    """Return all CRDs as one YAML stream, for ``kubectl apply -f -``."""
    return HEADER + "---\n".join(_yaml(crd(kind)) for kind in KINDS)


def _root_schema(kind: Kind) -> Schema:
    whole = cast("Mapping[str, JsonValue]", kind.model.model_json_schema())
    properties = cast("dict[str, JsonValue]", whole["properties"])
    definitions = whole["$defs"]
    members: dict[str, JsonValue] = {
        "apiVersion": {
            "type": "string",
            "description": "apiVersion is the version of the schema of this object: "
            f"{GROUP}/{VERSION}.",
        },
        "kind": {"type": "string", "description": f"kind is {kind.name}."},
        # Name and nothing else may be declared here, not even a description: the API server has
        # its own words for the rest. Declared, a rule can point to it.
        "metadata": {
            "type": "object",
            "properties": {"name": {"type": "string", "maxLength": 253}},
        },
    }
    for name in ("spec", "status"):
        part = cast("dict[str, JsonValue]", properties[name])
        converted = structural({"$defs": definitions, "type": "object", "properties": {name: part}})
        members[name] = cast("dict[str, JsonValue]", converted["properties"])[name]
    if kind.default_status:
        cast("dict[str, JsonValue]", members["status"])["default"] = {"observedGeneration": -1}
    root: Schema = {
        "type": "object",
        "description": kind.description,
        "required": ["spec"],
        "properties": members,
    }
    if kind.rules:
        root[VALIDATIONS] = [rule.to_schema() for rule in kind.rules]
    return root


def _column(column: Column) -> dict[str, Any]:
    out: dict[str, Any] = {
        "name": column.name,
        "type": column.type,
        "jsonPath": column.json_path,
        "description": column.description,
    }
    return out | ({"priority": 1} if column.wide else {})


class _Dumper(yaml.SafeDumper):
    """Writes lists indented, as people write Kubernetes YAML, and never an alias."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ANN401
        return True


def _yaml(document: Mapping[str, Any]) -> str:
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, width=100, allow_unicode=True)
