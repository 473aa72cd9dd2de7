"""Signing in before a product is read: access tokens, and what they are kept in."""
