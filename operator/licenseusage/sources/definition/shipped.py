"""Presets that come with a product, in a ConfigMap of its namespace.

Nobody has reviewed such a preset as the operator's own are. So it may do no more than whoever wrote
the LicenseUsage: it sends GET requests, signs in at paths for that, and names neither a server nor
a Secret. Its text is bounded, and a YAML alias is refused, because a few of them make a text huge.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import lru_cache
from typing import Any

import yaml

from licenseusage.errors import Stalled
from licenseusage.reasons import Reason
from licenseusage.sources.definition.authentication import LOGIN_PATHS, TOKEN_PATHS
from licenseusage.sources.definition.presetfile import (
    SAFE_LOADER,
    BadPresetError,
    Preset,
    preset_of,
)

LABEL = "licenseusage.dev/preset"
"""Label of a ConfigMap whose keys are presets; ``"true"``."""

MOST_BYTES = 16_384
MOST_LETTERS = 512
"""Of each text that a condition may quote."""

MOST_DEPTH = 32
"""Of lists and objects in each other; the deepest preset of the operator's own has 6."""

_OF_THE_OBJECT = {
    "name": "which source it is",
    "preset": "which preset it is",
    "presetConfigMapRef": "where the preset comes from",
    "service": "which server is asked",
    "endpoint": "which server is asked",
    "push": "who may push activity",
}
_ANYWHERE = {
    "selector": "which pods are asked",
    "hostHeader": "which name a server is asked by",
    "tls": "which certificates are believed",
    "secretRef": "which Secret is sent",
    "caSecretRef": "which certificates are believed",
    "clientCertificate": "which Secret is used",
}
_ELSEWHERE = {"service": "which server gets a Secret", "endpoint": "which server gets a Secret"}


def shipped_preset(name: str, text: str, where: str, built_in: frozenset[str]) -> Preset:
    """Read a preset that came with a product.

    Args:
        name: Of the preset, as the source names it.
        text: The value of its key.
        where: What messages call it.
        built_in: Names of the operator's own presets, which stand for what was reviewed.

    Raises:
        Stalled: ``PresetInvalid`` or ``PresetRefused``, naming the member and the fix.
    """
    made = _read(name, text, where, built_in)
    if isinstance(made, Stalled):
        raise made.with_traceback(None)
    return made


@lru_cache(maxsize=64)
def _read(name: str, text: str, where: str, built_in: frozenset[str]) -> Preset | Stalled:
    """Return the preset, or why there is none: an object that waits for a person is looked at."""
    try:
        return _checked(name, text, where, built_in)
    except Stalled as refused:
        return refused


def _checked(name: str, text: str, where: str, built_in: frozenset[str]) -> Preset:
    if name in built_in:
        raise Stalled(
            Reason.PRESET_REFUSED,
            f"{where}: {name} is the name of a preset of the operator's own. Give this one another "
            "name, or remove presetConfigMapRef to use the operator's.",
        )
    if len(text.encode()) > MOST_BYTES:
        raise Stalled(
            Reason.PRESET_INVALID, f"{where}: it is larger than {MOST_BYTES} bytes. Shorten it."
        )
    try:
        _refuse_what_unfolds(text)
        preset = preset_of(name, text)
    except BadPresetError as error:
        raise Stalled(Reason.PRESET_INVALID, f"{where}: {error}.") from None
    for member in _too_long(preset):
        raise Stalled(
            Reason.PRESET_INVALID,
            f"{where}: {member} is longer than {MOST_LETTERS} letters, and conditions quote it. "
            "Shorten it.",
        )
    for member, decides in _reaching(preset.source):
        raise Stalled(
            Reason.PRESET_REFUSED,
            f"{where}: it gives source.{member}, which decides {decides}. Only the LicenseUsage "
            "may give it: remove it from the preset.",
        )
    for member in _acting(preset.source):
        raise Stalled(
            Reason.PRESET_REFUSED,
            f"{where}: source.{member} may change something at the product. Only the operator's "
            "own presets, which are reviewed, may give it: remove it, or ask the vendor of the "
            "operator for a preset.",
        )
    return preset


def _too_long(preset: Preset) -> Iterator[str]:
    quoted = {
        "whenNobody": preset.when_nobody,
        "when500": preset.when_500,
        "whenOff": preset.when_off,
        "account": preset.account,
    }
    quoted |= {f"needs[{n}].field": need.field for n, need in enumerate(preset.needs)}
    quoted |= {f"needs[{n}].why": need.why for n, need in enumerate(preset.needs)}
    for member, text in quoted.items():
        if text is not None and len(text) > MOST_LETTERS:
            yield member


def _refuse_what_unfolds(text: str) -> None:
    """Refuse a text whose reading takes more than its length suggests."""
    depth = 0
    with suppress(yaml.YAMLError, RecursionError):  # it is told with its line when it is read
        for event in yaml.parse(text, SAFE_LOADER):
            if isinstance(event, yaml.AliasEvent):
                raise BadPresetError("it has a YAML alias (*): write the value out")
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if depth > MOST_DEPTH:
                raise BadPresetError(f"it is nested more than {MOST_DEPTH} deep: no preset is")


def _reaching(source: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the members by which a preset would choose a server or a Secret."""
    for name, decides in _OF_THE_OBJECT.items():
        if name in source:
            yield name, decides
    yield from _inner(source, "")


def _acting(source: Mapping[str, Any]) -> Iterator[str]:
    """Yield the members by which a preset would do more than ask and sign in."""
    http, auth = _part(source, "http"), _part(source, "auth")
    if http.get("method", "GET") != "GET":
        yield "http.method"
    if "body" in http:
        yield "http.body"
    for kind, member, usual in (
        ("login", "path", LOGIN_PATHS),
        ("oauth2", "tokenPath", TOKEN_PATHS),
    ):
        path = _part(auth, kind).get(member)
        if path is not None and not (isinstance(path, str) and usual.match(path)):
            yield f"auth.{kind}.{member}"


def _part(of: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = of.get(name)
    return part if isinstance(part, Mapping) else {}


def _inner(value: object, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for name, member in value.items():
            here = f"{path}{name}"
            if name in _ANYWHERE:
                yield here, _ANYWHERE[name]
            elif path and name in _ELSEWHERE:
                yield here, _ELSEWHERE[name]
            else:
                yield from _inner(member, f"{here}.")
    elif isinstance(value, list):
        for item in value:
            yield from _inner(item, path)
