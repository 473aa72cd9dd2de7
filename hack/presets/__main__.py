"""``python -m hack.presets``: write docs/presets.md."""

from pathlib import Path

from hack.presets.page import page
from licenseusage.sources.definition.presets import presets

PAGE = Path(__file__).resolve().parents[2] / "docs" / "presets.md"


def main() -> None:
    """Make the page anew."""
    PAGE.write_text(page(presets().values()), "utf-8")


if __name__ == "__main__":
    main()
