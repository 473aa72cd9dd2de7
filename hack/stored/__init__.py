"""Every field that the project stores, for docs/privacy.md."""
