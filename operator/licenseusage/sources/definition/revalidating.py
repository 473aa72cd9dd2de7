"""Whether a product may say that its list has not changed (``http.validator``): for which lists.

That answer repeats what was read before. Rows with times stay true whenever they are repeated. A
list without times, or a number, is about the moment at which it is read; repeated it may be false.
"""

from licenseusage.sources.definition.checking import InvalidError
from licenseusage.sources.definition.model import EffectiveSource
from licenseusage.sources.definition.paging import OnePage


def refuse(source: EffectiveSource) -> None:
    """Refuse a validator where it cannot be used.

    Raises:
        InvalidError: The list has pages, no times, or is read by POST or at every pod; or the
            source is a log.
    """
    http = source.listing
    if http is None or http.validator == "None":
        return
    if not isinstance(http.pagination, OnePage):
        raise InvalidError(
            "http.validator is ETag, but the list has pages: the ids on those that did not change "
            "would have to be kept. Remove http.validator, or ask for all users in one answer"
        )
    if source.reads_log or source.window is not None:
        what = "window" if source.window is not None else "events"
        raise InvalidError(
            f"http.validator is ETag, which is for lists of users with times, not for {what}: an "
            "answer that is repeated may not be true any more. Remove http.validator"
        )
    if http.method == "POST":
        raise InvalidError(
            "http.validator is ETag, but http.method is POST: only a GET can ask for what has "
            "changed. Set http.validator to None"
        )
    if source.every_pod:
        raise InvalidError(
            "http.validator is ETag, but users.acrossPods is Same, which compares whole lists: "
            "remove one of them"
        )
