"""Answers of a product as an anonymised file, and a poll of them without the product."""
