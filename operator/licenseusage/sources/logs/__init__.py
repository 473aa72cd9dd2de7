"""Logs of events: a stream read from where the last poll ended, each event tallied once."""
