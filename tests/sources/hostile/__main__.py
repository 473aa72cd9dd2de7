"""``python -m tests.sources.hostile``: write docs/hostile-answers.md."""

from pathlib import Path

from tests.sources.hostile.table import page

PAGE = Path(__file__).resolve().parents[3] / "docs" / "hostile-answers.md"

if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
