"""A page of which a part is made, between two marks; what is around them is written by hand."""


class NoMarksError(ValueError):
    """The page does not say where the made part belongs."""


def between(page: str, begin: str, end: str, made: str, *, name: str) -> str:
    """Return the page with the part between two marks made anew; what is around it stays.

    Args:
        page: The page.
        begin: The mark before the part.
        end: The mark behind it.
        made: What begins right behind ``begin``, and ends right before ``end``.
        name: The page's file, for people.

    Raises:
        NoMarksError: A mark is missing.
    """
    before, first, rest = page.partition(begin)
    _, last, after = rest.partition(end)
    if not first or not last:
        raise NoMarksError(f"{name} needs the lines {begin!r} and {end!r}")
    return f"{before}{begin}{made}{end}{after}"
