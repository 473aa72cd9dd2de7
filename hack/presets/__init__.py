"""docs/presets.md, made of the presets' files."""
