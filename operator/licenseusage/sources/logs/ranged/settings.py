"""What the product says about its log: whether events are recorded, and how long it keeps them."""

from collections.abc import Iterable
from typing import NamedTuple

from licenseusage.reasons import Reason
from licenseusage.sources.definition.expressions import Json, expression
from licenseusage.sources.definition.interpreter import EvaluationError
from licenseusage.sources.definition.logs import LogSettings
from licenseusage.sources.definition.model import SECOND_MS
from licenseusage.sources.definition.timestamps import kind_of
from licenseusage.sources.failures import PollError
from licenseusage.sources.logs.ranged.pages import document_of

_LONGEST_SECONDS = 10**11
"""More is for ever: 3,000 years."""


class Told(NamedTuple):
    """The product's word about its log.

    Attributes:
        recording: Events that count are recorded; None: it does not tell.
        retention_ms: R; None: for ever, or it does not tell.
    """

    recording: bool | None = None
    retention_ms: int | None = None


def told_by(settings: LogSettings, chunks: Iterable[bytes]) -> Told:
    """Read the answer to the request for the settings.

    Raises:
        PollError: ``SettingsUnreadable``, or the answer is no JSON.
    """
    document = document_of(chunks)
    recording = None
    if settings.recording is not None:
        recording = _value(settings.recording, "recording", document) is True
    retention_ms = None
    if settings.retention_seconds is not None:
        retention_ms = _retention_ms(settings.retention_seconds, document)
    return Told(recording, retention_ms)


def switched_off(settings: LogSettings, when_off: str | None) -> PollError:
    """Say that the product does not record what counts, and what to do about it."""
    fix = when_off or "Switch the recording of these events on, at the product."
    return PollError(
        Reason.EVENTS_NOT_RECORDED,
        f"the product does not record the events that count: {settings.recording} is not true at "
        f"{settings.path}. {fix}",
        stalls=True,
    )


def _retention_ms(path: str, document: Json) -> int | None:
    value = _value(path, "retentionSeconds", document)
    if value is None:
        return None
    if type(value) not in (int, float) or not 0 <= value:
        raise PollError(
            Reason.SETTINGS_UNREADABLE,
            f"events.settings.retentionSeconds ({path}) gives {kind_of(value)} instead of a number "
            "of seconds. Correct the path.",
            stalls=True,
        )
    return int(value * SECOND_MS) if 0 < value < _LONGEST_SECONDS else None


def _value(path: str, name: str, document: Json) -> Json:
    try:
        return expression(path).search(document)
    except EvaluationError as error:
        raise PollError(
            Reason.SETTINGS_UNREADABLE,
            f"events.settings.{name} ({path}) cannot be applied to the answer: {error}. Correct "
            "it; try the source with `licenseusage source check`.",
            stalls=True,
        ) from None
