"""Statements and documents: cycles closed and amended, chains, the outbox."""
