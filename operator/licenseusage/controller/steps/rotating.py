"""Rotation: another key takes over by succession, and a crash at any point loses nothing (§4).

An administrator writes why into the identity's Secret (``licenseusage keys rotate``). Then, in this
order, each step durable before the next one, and each repeated harmlessly:

1. the key that follows is made and stored beside the current one;
2. one succession per key chain, signed by the current key, is committed to the ledger;
3. the successions are kept beside the keys, and sent as every key statement is;
4. in each chain, the key that follows signs once its succession is receipted (`KeyRing.signer`);
5. once all of them are, it is the current key, and the former one goes: one conditional update.

So a key never signs before its succession is committed and receipted, and none is lost whose
succession is signed. After a loss of the ledger, key chains are whole again, since their statements
are kept beside the keys: the mark ``LocalHistoryLost`` on one is about chains of reports only.
"""

import structlog

from licenseusage.controller.effects.gatherer import Works
from licenseusage.controller.effects.identity import Keys
from licenseusage.controller.rules.rotation import succession_to, to_be_succeeded, unreceipted
from licenseusage.controller.steps.enrolling import take_over
from licenseusage.ledger.documents.records import HISTORY_LOST, ReportKind
from licenseusage.ledger.ledger import Ledger
from licenseusage.reports.keyring import KeyRing

_log = structlog.get_logger(__name__)


async def rotate(books: Works, keys: Keys, now_ms: int, loop_s: float) -> KeyRing:
    """Take a rotation as far as it goes now; return the keys as they are then.

    Args:
        books: The ledger.
        keys: The Secret.
        now_ms: The time.
        loop_s: Monotonic seconds.

    Raises:
        UsageError: The Secret or the ledger cannot be read or written now; it is tried again.
    """
    async with keys.rotation:
        ring = await keys.ring(loop_s)
        if not ring.rotating:
            return ring
        if ring.following is None:
            await keys.add_following()
            ring = await keys.ring(loop_s)
            following = ring.following
            if following is None:
                return ring  # the request was withdrawn meanwhile
            _log.warning("key rotation begins", key=ring.current.kid, following=following.kid)
        tokens, waiting = await books.do(lambda ledger: _succeed(ledger, ring, now_ms))
        await keys.keep_statements(tokens, loop_s)
        if waiting:
            return await keys.ring(loop_s)
        await keys.complete_rotation(ring)
        _log.warning("key rotation is complete", key=ring.following and ring.following.kid)
        return await keys.ring(loop_s)


def _succeed(ledger: Ledger, ring: KeyRing, now_ms: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Commit the successions that are missing; return our statements, and who is waited for."""
    following = ring.following
    assert following is not None  # noqa: S101 - made before
    for chain_id, beside in ring.chains.items():
        # Of a ledger that was restored, also what belongs to objects that were not looked at since:
        # otherwise a chain that is succeeded already would be succeeded twice.
        if len(beside) > len(ledger.key_statements(chain_id)):
            take_over(ledger, chain_id, [statement.token for statement in beside], now_ms)
    for last in to_be_succeeded(ring, ledger.all_key_statements()):
        chain_id = last.sent.chain_id
        if ledger.chain(chain_id).stopped not in {None, HISTORY_LOST}:
            continue  # nothing is added to it until a person has decided
        document = succession_to(following, ring, last, now_ms // 1000)
        sequence = last.sent.subject.sequence + 1
        ledger.add_key_statement(chain_id, ReportKind.SUCCESSION, sequence, document, now_ms)
    items = ledger.all_key_statements()
    waiting = unreceipted(ring, items, ledger.meters())
    ours = {chain_id for chain_id in ring.chains} | {
        item.chain_id for item in items if item.kind is ReportKind.SUCCESSION
    }
    return tuple(item.token for item in items if item.chain_id in ours), waiting
