"""Getting signed documents to the vendor: outbox in, verified receipts out (REPORT_FORMAT §9, §10).

``outcome`` and ``settle`` decide what an answer means, ``schedule`` when to try again (both pure);
``vendor`` speaks HTTPS; ``sender`` joins them in steps; ``outbox`` is what it needs of a ledger.
"""
