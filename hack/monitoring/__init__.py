"""Monitoring: what is generated from the one file of rules, and the dashboard."""
