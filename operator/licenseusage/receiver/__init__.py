"""The vendor's side, as a reference: keys and reports in, signed receipts out, pages to look at.

A vendor can run it as it is or read it as the executable form of REPORT_FORMAT §6, §7, §9 and §12.
Follow one report through the modules: ``app`` takes the request, ``intake`` judges and stores it in
one transaction (``rules`` and ``reports.overdue`` are the pure decisions, ``store`` the
database), and ``pages`` shows what is held.
"""
