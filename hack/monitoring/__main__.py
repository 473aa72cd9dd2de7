"""``python -m hack.monitoring``: write what follows from the rules, and the dashboard."""

from hack.monitoring.written import ROOT, written


def main() -> None:
    """Make the files anew."""
    for path, text in written().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
