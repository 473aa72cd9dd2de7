"""LicenseUsage: who used a product in a billing cycle, stated with its evidence.

The folders are the way of a number: ``sources`` read activity from a product's pods, ``metering``
says what may be stated of it, ``ledger`` keeps the facts, ``reports`` signs the statement,
``delivery`` brings it to the vendor, ``controller`` joins them, ``receiver`` is the vendor's side.
"""

__version__ = "0.1.0"
