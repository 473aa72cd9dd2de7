"""``python -m hack.presets``: write docs/presets.md, and the table in docs/sources.md."""

from pathlib import Path

from hack.presets.kinds import with_kinds
from hack.presets.page import page
from licenseusage.sources.definition.presets import presets

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE, SOURCES = DOCS / "presets.md", DOCS / "sources.md"


def main() -> None:
    """Make both anew."""
    PAGE.write_text(page(presets().values()), "utf-8")
    SOURCES.write_text(with_kinds(SOURCES.read_text("utf-8"), presets().values()), "utf-8")


if __name__ == "__main__":
    main()
