"""Messages for unreadable rows: the field of the source, what was seen, the fix."""

from collections.abc import Sequence

from licenseusage.reasons import Reason
from licenseusage.sources.definition.expressions import Json
from licenseusage.sources.definition.model import EffectiveSource
from licenseusage.sources.definition.timestamps import BadStampError, kind_of
from licenseusage.sources.failures import PollError


def bad_stamp(source: EffectiveSource, error: BadStampError) -> PollError:
    """Say that a last activity, or a creation, is no time."""
    return PollError(
        Reason.TIMESTAMP_INVALID,
        f"users.lastActive.path ({source.users.last_active.path}), or createdAt: {error}. Correct "
        "the path, set users.lastActive.format, or name what means never in "
        "users.lastActive.never.",
        stalls=True,
    )


def bad_ids(source: EffectiveSource, ids: Sequence[Json]) -> PollError:
    """Say that some of these are no ids."""
    wrong = [value for value in ids if not (value is None or type(value) in (str, int))]
    return PollError(
        Reason.ID_INVALID,
        f"users.id ({source.users.id}) gives {kind_of(wrong[0])} for {len(wrong)} of {len(ids)} "
        "items; it must give a text or an integer. Correct users.id.",
        stalls=True,
    )
