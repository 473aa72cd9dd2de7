"""Bare numbers: read from an answer or from metrics, held against what they promise, sampled."""
