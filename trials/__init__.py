"""The evidence: soak, kills, mutation, broken invariants, simulated months; `proof` is shared."""
