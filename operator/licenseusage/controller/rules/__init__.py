"""Decisions: pure functions of facts and a time, readable without the rest."""
