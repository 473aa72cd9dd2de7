"""What ends a history: a rule that does not hold."""


class Violation(AssertionError):
    """Something that must hold does not."""


def need(holds: bool, what: str) -> None:
    """Raise `Violation` unless it holds."""
    if not holds:
        raise Violation(what)
