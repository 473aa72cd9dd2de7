"""What a command in the operator's pod reads of the cluster, as the operator would."""

import asyncio
from typing import TYPE_CHECKING

from licenseusage import __version__
from licenseusage.clock import SystemClock
from licenseusage.controller.rules.key import Key
from licenseusage.controller.rules.preview import Seen
from licenseusage.controller.rules.site import Site
from licenseusage.controller.rules.subject import Subject
from licenseusage.controller.settings import Settings
from licenseusage.errors import Failure, Retryable, Stalled, UsageError
from licenseusage.reasons import Reason
from licenseusage.reports.content import OperatorInfo
from licenseusage.reports.fitting import report_version

if TYPE_CHECKING:
    from licenseusage.controller.effects.identity import PseudonymKey


def look(settings: Settings, key: Key, clock: SystemClock) -> "tuple[Seen, PseudonymKey]":
    """Read what the cluster shows of an object, and the pseudonym key, as the operator does.

    Raises:
        Stalled: There is no such object, or a key or a right is missing.
        Retryable: ``APIUnavailable``.
    """
    # The clients of Kubernetes take a third of a second to load; other commands do without.
    from licenseusage.controller.effects.clusterid import cluster_of
    from licenseusage.controller.effects.identity import Keys, Names
    from licenseusage.controller.effects.kube import KubeError, NotFoundError
    from licenseusage.controller.effects.secrets import SecretReader
    from licenseusage.controller.effects.shippedpresets import shipped_presets
    from licenseusage.controller.process.login import connect
    from licenseusage.controller.rules.resources import USAGES
    from licenseusage.reports.keys import generate_key

    names = Names(settings.operator_namespace, settings.identity_secret, settings.pseudonym_secret)
    own = {(names.namespace, names.identity), (names.namespace, names.pseudonym)}

    async def read() -> "tuple[Seen, PseudonymKey]":
        kube = await connect()
        try:
            subject = Subject.read(key, await kube.get(USAGES, key.namespace, key.name))
            if isinstance(subject.usage, UsageError):
                raise subject.usage
            reader, loop = SecretReader(kube, own), asyncio.get_running_loop()
            keys = Keys(kube, reader, names, new_signing_key=generate_key, random_bytes=bytes)
            ring, pseudonym = await keys.ring(loop.time()), await keys.pseudonym_key(loop.time())
            cluster, reference = await cluster_of(kube), kube.reference_seconds()
            version = report_version(__version__, simulated_clock=clock.simulated)
            machine = clock.now_ms() / 1000 - clock.offset_seconds
            seen = Seen(
                subject=subject,
                usage=subject.usage,
                ring=ring,
                key_id=pseudonym.id,
                site=Site(
                    OperatorInfo(version, cluster),
                    None if reference is None else round(reference - machine),
                    f"{names.namespace}/{names.identity}",
                ),
                roster_gap_ms=1000 * settings.roster_gap_seconds,
                shipped=await shipped_presets(reader, key.namespace, subject.usage, loop.time()),
            )
            return seen, pseudonym
        finally:
            await kube.close()

    try:
        return asyncio.run(read())
    except NotFoundError:
        raise Stalled(
            Reason.NO_DOCUMENT,
            f"There is no LicenseUsage {key}: kubectl get licenseusage -A lists all of them.",
        ) from None
    except KubeError as error:
        raise Retryable(Reason.API_UNAVAILABLE, f"{error}.") from None


def unforeseen(error: Exception, doing: str) -> Failure:
    """Let an unforeseen exception end the command; see `declared.Defect`."""
    raise error
