"""Ids of people: which are made to last, and when two of them are one, written in two ways."""

import re
import unicodedata
from collections.abc import Callable, Sequence
from functools import partial

UUID = re.compile(r"\{?[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}\}?", re.IGNORECASE)

_one_form: Callable[[str], str] = partial(unicodedata.normalize, "NFC")
_STEPS: dict[str, Callable[[str], str]] = {
    "Trim": str.strip,
    "Lowercase": str.lower,
    "NFC": _one_form,
}


def normalizer(steps: Sequence[str]) -> Callable[[str], str]:
    """Return the function that normalises an id before it is compared."""
    done = [_STEPS[step] for step in steps]

    def normalize(name: str) -> str:
        for step in done:
            name = step(name)
        return name

    return normalize


class Spellings:
    """Looks for ids that differ only in how Unicode writes their letters: é, and e with an accent.

    Directories and file systems disagree about it, and such a person counts twice. Of an id beyond
    ASCII, of which there are few, two keyed hashes are remembered: 64 bits, never the id.
    """

    __slots__ = ("_forms", "_written")

    def __init__(self) -> None:
        """Begin with no ids."""
        self._written: set[int] = set()
        self._forms: set[int] = set()

    def add(self, names: Sequence[str]) -> None:
        """Take some normalised ids."""
        if all(map(str.isascii, names)):
            return
        beyond = [name for name in names if not name.isascii()]
        self._written.update(map(hash, beyond))
        self._forms.update(map(hash, map(_one_form, beyond)))

    def twice(self) -> int:
        """Return how many ids are another one in another spelling."""
        return len(self._written) - len(self._forms)
