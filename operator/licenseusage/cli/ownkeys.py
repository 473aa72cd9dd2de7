"""The installation's signing keys, read through the API server as the operator reads it.

Only for commands in a pod: the rights are those of its service account, which may get the one
Secret by name.
"""

import asyncio

from licenseusage.controller.settings import Settings
from licenseusage.errors import Stalled
from licenseusage.reasons import Reason
from licenseusage.reports.keyring import KeyRing
from licenseusage.reports.keys import generate_key


def key_ring(settings: Settings) -> KeyRing:
    """Return the keys that are at hand, and the statements beside them.

    Raises:
        Stalled: ``IdentityLost``, ``IdentityInvalid``, ``ForbiddenByCluster``, ``NoCluster``.
        Retryable: ``APIUnavailable``.
    """
    # The clients of Kubernetes take a third of a second to load; other commands do without.
    from licenseusage.controller.effects.identity import Keys, Names
    from licenseusage.controller.effects.kube import KubeError
    from licenseusage.controller.effects.secrets import SecretReader
    from licenseusage.controller.process.login import connect

    names = Names(settings.operator_namespace, settings.identity_secret, settings.pseudonym_secret)

    async def read() -> KeyRing:
        kube = await connect()
        try:
            reader = SecretReader(kube, {(names.namespace, names.identity)})
            keys = Keys(kube, reader, names, new_signing_key=generate_key, random_bytes=bytes)
            return await keys.ring(asyncio.get_running_loop().time())
        finally:
            await kube.close()

    try:
        return asyncio.run(read())
    except KubeError as error:
        raise Stalled(Reason.NO_CLUSTER, str(error)) from None
