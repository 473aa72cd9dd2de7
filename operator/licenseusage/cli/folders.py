"""Folders of files that ``--directory`` names."""

from pathlib import Path

from licenseusage.errors import Stalled
from licenseusage.reasons import Reason


def entries(folder: Path) -> list[Path]:
    """Return what a folder holds, by name.

    Raises:
        Stalled: ``FileUnreadable``: it cannot be listed.
    """
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise Stalled(
            Reason.FILE_UNREADABLE,
            f"{folder}: {error.strerror or error}. --directory names a folder that exists: mount "
            f"the volume there.",
        ) from None
