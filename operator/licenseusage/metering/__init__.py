"""The rules of the number: cycles, facts, bounds, coverage and the life of a cycle.

Pure and standard library only: facts and times come in as values, statements and decisions go out.
The rules are those of ``docs/measurement.md`` (cited as ``MEASUREMENT §n``); times are integer
milliseconds since 1970-01-01T00:00:00Z.
"""
