"""``python -m hack.stored``: write the tables of docs/privacy.md."""

from pathlib import Path

from hack.stored.page import with_tables
from hack.stored.places import places

PAGE = Path(__file__).resolve().parents[2] / "docs" / "privacy.md"


def main() -> None:
    """Make the tables anew."""
    PAGE.write_text(with_tables(PAGE.read_text("utf-8"), places()), "utf-8")


if __name__ == "__main__":
    main()
