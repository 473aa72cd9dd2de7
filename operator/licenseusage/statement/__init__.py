"""The statement for people: what signed reports say about a cycle, as HTML, CSV or JSON.

Made of signed documents only, and pure: documents and a time come in, text goes out. Read
``cycles`` first (which report states a cycle's value), then ``choosing``, ``statement``, and the
``forms``: ``ashtml``, ``ascsv`` and ``asjson``.
"""
