"""``python -m hack.install``: write manifests/install.yaml."""

from hack.controlplane import find
from hack.install import INSTALL, rendered


def main() -> None:
    """Render it anew."""
    INSTALL.write_text(rendered(find().kubectl), "utf-8")


if __name__ == "__main__":
    main()
