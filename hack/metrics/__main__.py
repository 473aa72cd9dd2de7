"""``python -m hack.metrics``: write docs/metrics.md."""

from pathlib import Path

from hack.metrics.page import page
from licenseusage.controller.rules.metricbook import BOOK, LABELS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "metrics.md"


def main() -> None:
    """Make the page anew."""
    PAGE.write_text(page(BOOK, LABELS), "utf-8")


if __name__ == "__main__":
    main()
