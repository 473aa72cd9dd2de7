"""``manifests/install.yaml``: everything of an installation in one file, rendered by kubectl."""

from hack.install.rendered import INSTALL, rendered

__all__ = ["INSTALL", "rendered"]
