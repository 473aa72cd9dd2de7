"""What a source means: presets, templates and fields of the object become an `EffectiveSource`."""
