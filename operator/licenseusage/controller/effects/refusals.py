"""The API server's refusals as conditions: one place for all requests."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from licenseusage.controller.effects.kube import ForbiddenError, KubeError, NotFoundError
from licenseusage.errors import Retryable, Stalled, UsageError
from licenseusage.reasons import Reason

_INSTALL_AGAIN = (
    "Apply what you installed it by again: kubectl apply -k manifests/base, your own "
    "kustomization, or helm upgrade"
)
_ACCOUNT = re.compile(r"system:serviceaccount:(?P<namespace>[-a-z0-9]+):(?P<name>[-a-z0-9.]+)")


@contextmanager
def explained(
    namespace: str, what: str, *, missing: UsageError | None = None, own: bool = False
) -> Iterator[None]:
    """Turn errors of the API server, and answers that cannot be decoded, into conditions.

    Args:
        namespace: Whose RoleBinding permits the question.
        what: What was asked for, as messages call it, e.g. ``Service shop/nats``.
        missing: What it means that there is none; None: as any other error.
        own: It belongs to the operator itself: its own Role permits it, not a collector's.

    Raises:
        Stalled: ``ForbiddenByCluster``, with what to apply.
        Retryable: ``APIUnavailable``.
        UsageError: ``missing``.
    """
    try:
        yield
    except ForbiddenError as error:
        raise (forbidden_own if own else forbidden)(namespace, error) from None
    except KubeError as error:
        if missing is not None and isinstance(error, NotFoundError):
            raise missing from None
        raise Retryable(Reason.API_UNAVAILABLE, f"{error}; it is tried again.") from None
    except msgspec.DecodeError:  # of which a ValidationError is one
        raise Retryable(
            Reason.API_UNAVAILABLE, f"{what} could not be read; it is tried again."
        ) from None


def forbidden(namespace: str, error: KubeError) -> Stalled:
    """Return the failure of a 403, with the RoleBinding to apply (DESIGN §9).

    The API server's sentence names who was refused; the command is for exactly that account, and
    is a kubectl line rather than YAML because a condition's message is one line.
    """
    account = _ACCOUNT.search(error.message)
    subject = (
        f"--serviceaccount={account['namespace']}:{account['name']}"
        if account
        else "--serviceaccount=licenseusage-system:licenseusage-operator"
    )
    return Stalled(
        Reason.FORBIDDEN_BY_CLUSTER,
        f"The operator may not {error.what}. Apply this RoleBinding: kubectl create rolebinding "
        f"licenseusage-collector --namespace={namespace} --clusterrole=licenseusage-collector "
        f"{subject}",
    )


def forbidden_own(namespace: str, error: KubeError) -> Stalled:
    """Return the failure of a 403 about what is the operator's own, with the Role to apply."""
    return Stalled(
        Reason.FORBIDDEN_BY_CLUSTER,
        f"The operator may not {error.what}. Role and RoleBinding licenseusage-operator in its own "
        f"namespace {namespace} permit it by name (manifests/base/rbac-operator.yaml; a name that "
        f"your settings give has to be added there). {_INSTALL_AGAIN}",
    )


def forbidden_kinds(error: KubeError) -> Stalled:
    """Return the failure of a 403 about objects of our own kinds, with the ClusterRole to apply."""
    return Stalled(
        Reason.FORBIDDEN_BY_CLUSTER,
        f"The operator may not {error.what}. ClusterRole and ClusterRoleBinding "
        f"licenseusage-operator (Role and RoleBinding in an installation for one namespace) "
        f"permit it (manifests/base/rbac-operator.yaml). {_INSTALL_AGAIN}",
    )
