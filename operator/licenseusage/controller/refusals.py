"""What a failed question to the API server means for a poll: one place, whatever was asked for."""

from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from licenseusage.controller.kube import ForbiddenError, KubeError, NotFoundError
from licenseusage.controller.secrets import forbidden
from licenseusage.errors import Retryable


@contextmanager
def explained(namespace: str, what: str, *, missing: Retryable | None = None) -> Iterator[None]:
    """Turn errors of the API server, and answers that cannot be decoded, into a poll's failures.

    Args:
        namespace: The object's, whose RoleBinding permits the question.
        what: What was asked for, as messages call it, e.g. ``Service shop/nats``.
        missing: What it means that there is none; None: as any other error.

    Raises:
        Stalled: ``ForbiddenByCluster``, with the RoleBinding to apply.
        Retryable: ``missing``, or ``APIUnavailable``.
    """
    try:
        yield
    except ForbiddenError as error:
        raise forbidden(namespace, error) from None
    except KubeError as error:
        if missing is not None and isinstance(error, NotFoundError):
            raise missing from None
        raise Retryable("APIUnavailable", f"{error}; it is tried again.") from None
    except msgspec.DecodeError:  # of which a ValidationError is one
        raise Retryable("APIUnavailable", f"{what} could not be read; it is tried again.") from None
