"""The definition of a source: preset and fields of the object become an `EffectiveSource`."""
