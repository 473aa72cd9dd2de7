"""What decides: pure functions of facts and a time, read without knowing the rest."""
