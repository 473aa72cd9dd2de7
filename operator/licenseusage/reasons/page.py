"""The vocabulary as a page: docs/reasons.md, which ``licenseusage reasons`` prints."""

from licenseusage.reasons.book import BOOK, CHAPTERS
from licenseusage.reasons.entries import Chapter, Entry
from licenseusage.reasons.vocabulary import Reason

_HEAD = """\
<!-- Made by `licenseusage reasons > docs/reasons.md`: do not edit. -->
# Reasons

Every reason that a condition, an event, a status, a report, the receiver or the command line gives,
what it means and what to do. Look for the word; each is an anchor, as in
`docs/reasons.md#NoReadyPods`. `licenseusage reasons NoReadyPods` prints the same for one of them.

- *kind*: `good`: as it should be. `note`: worth knowing, nothing has failed. `bad`: something
  failed, is missing or is not proved.
- *person*: whether somebody has to act. `if it stays`: it is tried again, and often passes by
  itself. No reason ever stops the product, or the counting of what can be counted.
"""


def markdown() -> str:
    """Return the whole page."""
    return "\n".join((_HEAD, *(_section(chapter) for chapter in CHAPTERS)))


def paragraph(reason: Reason) -> str:
    """Return what is to be known of one reason, for a terminal."""
    entry = BOOK[reason]
    chapter = next(chapter for chapter in CHAPTERS if reason in chapter.entries)
    return (
        f"{reason}: {entry.means}.\n"
        f"What to do: {entry.fix}\n"
        f"Said by {chapter.speaker}; kind: {entry.polarity}; a person is needed: {entry.person}.\n"
        f"Stands in: {chapter.places}.\n"
    )


def _section(chapter: Chapter) -> str:
    rows = "\n".join(_row(reason, entry) for reason, entry in chapter.entries.items())
    return (
        f"## {chapter.title}\n"
        f"Said by {chapter.speaker}. Stands in: {chapter.places}.\n\n"
        f"| reason | kind | person | what it means | what to do |\n"
        f"|---|---|---|---|---|\n"
        f"{rows}\n"
    )


def _row(reason: Reason, entry: Entry) -> str:
    name = f'<a id="{reason}"></a>`{reason}`'
    return f"| {name} | {entry.polarity} | {entry.person} | {entry.means} | {entry.fix} |"
