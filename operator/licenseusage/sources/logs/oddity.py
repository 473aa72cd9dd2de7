"""Events with something about them that a person should know."""

from dataclasses import dataclass, field

_EXAMPLES = 3


@dataclass(slots=True)
class Oddity:
    """Events with something about them that a person should know, by their places in the log.

    Attributes:
        count: How many.
        most_ms: The worst of them.
        places: The first few; they name nobody.
        why: About the first one, without quoting anything of it.
        number: What such a place is called.
    """

    count: int = 0
    most_ms: int = 0
    places: list[str] = field(default_factory=list)
    why: str = ""
    number: str = "sequence"

    def note(self, place: object, much_ms: int = 0, why: str = "") -> None:
        """Note one event."""
        self.count += 1
        self.most_ms = max(self.most_ms, much_ms)
        self.why = self.why or why
        if len(self.places) < _EXAMPLES:
            self.places.append(str(place))

    @property
    def named(self) -> str:
        """The first few, for a message."""
        more = ", …" if self.count > len(self.places) else ""
        return f"{self.number} {', '.join(self.places)}{more}"
