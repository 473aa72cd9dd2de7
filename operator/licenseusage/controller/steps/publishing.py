"""Publishing the key statements, so that anyone can verify reports without coming near a key."""

import asyncio

from licenseusage.controller.effects.identity import PseudonymKey
from licenseusage.controller.rules.keystatus import configmap_data
from licenseusage.controller.steps.meters import keys_of
from licenseusage.controller.steps.world import World
from licenseusage.errors import UsageError
from licenseusage.ledger.ledger import Ledger
from licenseusage.reports.keyring import KeyRing


async def publish(world: World) -> bool:
    """Make the ConfigMap of key statements say what the ledger and the keys say.

    Before anything was enrolled there is nothing to publish, and no ConfigMap.

    Returns:
        Whether it had to be written.

    Raises:
        UsageError: The ledger cannot be read.
        KubeError: The API server refuses or does not answer.
    """
    if not await world.books.do(Ledger.all_key_statements):
        return False
    pseudonym, ring = await keys_of(world, asyncio.get_running_loop().time())

    def made(ledger: Ledger) -> dict[str, str]:
        # It is of all subscriptions, whichever has a new one: not on the loop.
        return configmap_data(
            ledger.all_key_statements(),
            None if isinstance(ring, UsageError) else ring,
            None if isinstance(pseudonym, UsageError) else pseudonym.id,
            _exported(pseudonym, ring),
        )

    data = await world.books.do(made)
    return await world.published.keep(data)


def _exported(pseudonym: PseudonymKey | UsageError, ring: KeyRing | UsageError) -> str | None:
    if isinstance(pseudonym, UsageError) or isinstance(ring, UsageError):
        return None
    return ring.exported_at(pseudonym.id)
