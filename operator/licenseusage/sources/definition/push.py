"""Who pushes the activity of a source that is not asked."""

import msgspec


class Push(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Activity that the product sends to the intake.

    Attributes:
        service_accounts: Those of the object's namespace whose pods may push, ascending.
        producers: Every value of the attribute ``source``, ascending; empty: it is not declared
            which there are, so that nothing proves silence.
    """

    service_accounts: tuple[str, ...]
    producers: tuple[str, ...] = ()
