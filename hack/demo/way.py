"""Which way the number goes in this demo: on line, out by a file, or nowhere."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Self


class WrongVariable(ValueError):
    """An environment variable asks for what the demo does not have; the message is the answer."""


class Way(StrEnum):
    """Where the signed reports go."""

    ONLINE = "online"
    """The operator sends them to the vendor."""

    EXPORT = "export"
    """A person carries them: the licence has no endpoint."""

    NOWHERE = "nowhere"
    """There is no licence, hence no report."""

    @property
    def licensed(self) -> bool:
        """Whether there is a licence, hence a vendor."""
        return self is not Way.NOWHERE

    @classmethod
    def chosen(cls, environment: Mapping[str, str]) -> Self:
        """Return what the variables MODE and LICENSE ask for.

        Args:
            environment: MODE is ``online`` (the default) or ``export``; LICENSE is empty or
                ``none``.

        Raises:
            WrongVariable: A value is not known, or the two contradict each other.
        """
        mode, terms = environment.get("MODE", ""), environment.get("LICENSE", "")
        if terms not in ("", "none"):
            raise WrongVariable(
                f"LICENSE={terms!r} is not known: leave it out, or say LICENSE=none"
            )
        if mode not in ("", cls.ONLINE, cls.EXPORT):
            raise WrongVariable(
                f"MODE={mode!r} is not known: leave it out, or say MODE=online or MODE=export"
            )
        if mode and terms:
            raise WrongVariable(
                f"MODE={mode} and LICENSE=none contradict each other: without a licence nothing is "
                f"reported. Leave one of them out."
            )
        return cls.NOWHERE if terms else cls(mode or cls.ONLINE)
