"""Texts that must be found nowhere, in every form in which a program may let them out."""

import base64
import json
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

_LEAST = 6
"""Shorter pieces would be found by chance."""


def forms(text: str) -> dict[str, str]:
    """Return name -> the text in that form, lower-case; base64 at each of its three offsets."""
    raw = text.encode()
    made = {
        "raw": text,
        "JSON": json.dumps(text)[1:-1],
        "hex": raw.hex(),
        "URL-quoted": quote(text, safe=""),
        "form-quoted": quote_plus(text),
    }
    for offset in range(3):
        # Without the characters that also depend on what is beside the text.
        coded = base64.b64encode(b"\0" * offset + raw)
        start, end = (offset * 8 + 5) // 6, (offset + len(raw)) * 8 // 6
        made[f"base64 at {offset}"] = coded[start:end].decode()
        made[f"base64url at {offset}"] = base64.urlsafe_b64encode(b"\0" * offset + raw)[
            start:end
        ].decode()
    return {name: form.lower() for name, form in made.items() if len(form) >= _LEAST}


def leaks(places: dict[str, str], canaries: Iterable[str]) -> Iterator[str]:
    """Yield where a canary was found, and in which form."""
    for place, content in places.items():
        lowered = content.lower()
        for canary in canaries:
            for name, form in forms(canary).items():
                if form in lowered:
                    yield f"{place}: {canary!r} as {name}"
