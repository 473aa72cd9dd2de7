"""What the cluster shows of an installation: read once, judged by pure functions."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from licenseusage.cli.doctor.findings import Finding, Level
from licenseusage.cli.doctor.names import Manifest, Names
from licenseusage.cli.doctor.rights import Asked


@dataclass(frozen=True, slots=True)
class Unseen:
    """Something that could not be looked at.

    Attributes:
        why: In the words of the cluster or of kubectl.
    """

    why: str

    def finding(self, check: str, about: str, fix: str = "") -> Finding:
        """Return the finding of a check that needed it."""
        return Finding(check, about, Level.UNSEEN, self.why, fix)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a source of an object is read, as far as it can be looked at.

    Attributes:
        usage: Namespace and name of the object.
        source: Name of the source.
        selector: Label selector of its pods; empty: no pods are selected.
        service: Name of its Service; empty: none.
        port: Number or name.
        pods: The pods that the selector finds.
        services: The Service, or nothing.
        policies: NetworkPolicies of the namespace.
        problem: Why its definition cannot be used; empty: it can.
    """

    usage: str
    source: str
    selector: str = ""
    service: str = ""
    port: int | str = 0
    pods: Sequence[Manifest] | Unseen = ()
    services: Sequence[Manifest] | Unseen = ()
    policies: Sequence[Manifest] | Unseen = ()
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """An installation as the caller may see it.

    Attributes:
        namespace: Of the operator.
        version: Of this program.
        now_s: This machine's clock, epoch seconds.
        ahead_s: How far it is ahead of the API server's clock at least, in seconds.
        crds: By name; None: it is not there.
        deployments: Those of operators in the namespace.
        pods: Those of operators in the namespace.
        namespace_labels: Of the operator's namespace.
        claims: The volume claims of the namespace by name.
        metrics: The text of the operator's ``/metrics``.
        rights: The rights that were asked about, and whether the operator has them.
        secrets: Names of the Secrets that were looked for and are there; never their content.
        configmaps: By name; None: it is not there.
        usages: All LicenseUsages.
        places: Where their sources are read.
    """

    namespace: str
    version: str
    now_s: float
    ahead_s: float | Unseen
    crds: Mapping[str, Manifest | None] | Unseen
    deployments: Sequence[Manifest] | Unseen
    pods: Sequence[Manifest] | Unseen
    namespace_labels: Mapping[str, str] = field(default_factory=dict)
    claims: Mapping[str, Manifest] | Unseen = field(default_factory=dict)
    metrics: str | Unseen = Unseen("there is no pod to ask")
    rights: Sequence[tuple[Asked, bool]] | Unseen = ()
    secrets: frozenset[str] | Unseen = frozenset()
    configmaps: Mapping[str, Manifest | Unseen | None] = field(default_factory=dict)
    usages: Sequence[Manifest] | Unseen = ()
    places: Sequence[Place] = ()

    @property
    def deployment(self) -> Manifest | None:
        """The operator's Deployment; None: there is none, or it could not be looked at."""
        if isinstance(self.deployments, Unseen) or not self.deployments:
            return None
        return self.deployments[0]

    @property
    def names(self) -> Names:
        """The names of what the operator uses."""
        return Names.of(self.deployment)


def named(manifest: Manifest) -> str:
    """Return ``namespace/name`` of an object."""
    metadata = manifest["metadata"]
    return f"{metadata.get('namespace', '')}/{metadata.get('name', '')}".lstrip("/")


def conditions(manifest: Manifest) -> Iterator[Manifest]:
    """Yield the conditions of an object's status."""
    yield from (manifest.get("status") or {}).get("conditions") or ()
