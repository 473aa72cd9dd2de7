"""What the file of a preset says: a source, and all that somebody must know who bills by it.

A file is YAML. A member that is missing, unknown or of another type is refused with its path, so a
preset is never half read.
"""

from typing import Any, Final, Literal

import msgspec
import yaml

Way = Literal["Product", "Types", "Exclude", "You"]

Verified = Literal["Live", "Source", "Documentation"]


SAFE_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""A preset of a namespace is read in the operator's process, so quickly, where libyaml is there."""


class NotPeople(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Rows or events of a product that are not people, and why they do not count.

    Attributes:
        who: What or who they are.
        by: ``Product``: it does not list them. ``Types``: such events are not among those read.
            ``Exclude``: the preset's ``users.exclude`` leaves them out. ``You``: only the user can
            know them, and leaves them out.
        how: How they are told, or what the user has to write.
    """

    who: str
    by: Way
    how: str


class Property(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """A value of the source on which the number rests, and where it was learned.

    Attributes:
        name: The path of the value in the source, such as ``guarantees.removal``.
        because: What the product does, in words.
        read_in: Files of the product's public source, or URLs of its documentation.
    """

    name: str
    because: str
    read_in: tuple[str, ...]


class Need(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """A field that the user must give, without which the preset would count somebody else.

    Attributes:
        field: Its path in the source.
        why: What to write there.
    """

    field: str
    why: str


class Preset(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """One product's way of telling who was active, and how far that was verified.

    Attributes:
        name: Of the file, without its ending.
        title: What it reads, in a few words.
        repository: URL of the product's public source, which ``read_in`` is relative to; None: this
            repository.
        verified: ``Live`` (on a running instance), ``Source`` (read in its code) or
            ``Documentation``.
        version: The product's version it was verified with.
        unverified: Parts that were not verified.
        counts: What makes a person count, beside the source's ``activityDefinition``.
        counts_not: What people do that does not make them count.
        preconditions: What must be true at the site before the number means anything.
        permission: The least right that the credentials need.
        not_people: Which rows or events are not people; never empty.
        breaks: What makes the number wrong, low or missing, as far as it is known.
        properties: Where the declared properties come from.
        same_id: Which id of a person is the same across installations, or that there is none.
        account: Path of an item's user name, so that the collector's own can be noticed.
        when_nobody: What it means for this product if no listed user has a last activity.
        when_500: What is likely wrong with this product if it answers with HTTP 500.
        when_off: What to do where the product does not record the events that count.
        needs: What the user must give, beside ``pods`` and ``auth``.
        example: Fields of a source that only the user knows, beside ``pods`` and ``auth``.
        source: The fields of a source, camelCase, as a user would write them.
    """

    name: str
    title: str
    verified: Verified
    version: str
    counts: tuple[str, ...]
    counts_not: tuple[str, ...]
    permission: str
    not_people: tuple[NotPeople, ...]
    breaks: tuple[str, ...]
    properties: tuple[Property, ...]
    same_id: str
    source: dict[str, Any]
    repository: str | None = None
    preconditions: tuple[str, ...] = ()
    unverified: tuple[str, ...] = ()
    account: str | None = None
    when_nobody: str | None = None
    when_500: str | None = msgspec.field(name="when500", default=None)
    when_off: str | None = None
    needs: tuple[Need, ...] = ()
    example: dict[str, Any] = msgspec.field(default_factory=dict)

    @property
    def definition(self) -> str:
        """What counts as activity, as it is copied into reports."""
        return str(self.source["activityDefinition"])


class BadPresetError(ValueError):
    """A preset's file cannot be used; the text says where and why."""


def preset_of(name: str, text: str) -> Preset:
    """Read the file of a preset.

    Raises:
        BadPresetError: It is no YAML, or no preset.
    """
    try:
        data = yaml.load(text, Loader=SAFE_LOADER)  # noqa: S506 - it is a safe one
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        line = f", line {where.line + 1}" if where is not None else ""
        raise BadPresetError(f"it is not YAML{line}") from None
    except (ValueError, RecursionError):  # a date that is none, or too deep
        raise BadPresetError("it is not YAML that can be read") from None
    if not isinstance(data, dict):
        raise BadPresetError("it is not a YAML object with the members of a preset")
    if "name" in data:
        raise BadPresetError("it has the member name, but its key names it: remove name")
    try:
        return msgspec.convert(data | {"name": name}, Preset)
    except msgspec.ValidationError as error:
        raise BadPresetError(str(error)) from None
