"""A sample product: what a vendor adds so that its active users can be counted.

Several server processes (the "pods") share one database. All that metering needs is one endpoint,
``GET /.well-known/active-users`` (``server.py``), over one indexed query (``store.py``).
"""
