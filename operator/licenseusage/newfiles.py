"""A file that was written under another name gets its own, and never replaces one."""

from pathlib import Path


def appear(unfinished: Path, target: Path) -> None:
    """Give a whole file its name; where there are hard links, both names stay.

    Args:
        unfinished: The file, on the same file system.
        target: Its name.

    Raises:
        FileExistsError: Another file has the name by now.
        OSError: It cannot be renamed.
    """
    try:
        target.hardlink_to(unfinished)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        if target.exists():
            raise FileExistsError(target) from None
        unfinished.rename(target)
