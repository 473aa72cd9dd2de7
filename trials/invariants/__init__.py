"""The product's invariants, each broken on purpose: the tests that hold it must notice."""
