"""Where reports are made, and by what."""

from collections.abc import Callable
from dataclasses import dataclass

from licenseusage.reports.content import OperatorInfo


@dataclass(frozen=True, slots=True)
class Site:
    """Where reports are made.

    Attributes:
        operator: Version and cluster, as reports state them.
        reference_offset_seconds: The API server's clock minus ours; None: not known.
        identity_secret: Namespace and name of the Secret with the signing key.
        random_bytes: Makes salts; None: nothing is signed here.
    """

    operator: OperatorInfo
    reference_offset_seconds: int | None
    identity_secret: str
    random_bytes: Callable[[int], bytes] | None = None
