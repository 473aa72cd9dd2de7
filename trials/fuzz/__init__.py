"""Coverage-guided fuzzing of what reads a product's answers (``python -m trials.fuzz``).

Each target says of any input that it is refused by name, or read without contradicting itself. The
corpus beside it holds inputs that begin the search; what is found while it runs is kept in the
user's cache, and so is an input that broke a target.
"""
