"""The custom resources as pydantic models; the CRDs in ``crds/`` are generated from them.

The API server is the gate (schema and CEL); reading is tolerant: an object that got past an older
schema becomes ``Stalled/InvalidSpec``, never a crash (:mod:`licenseusage.api.reading`).
"""

GROUP = "licenseusage.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

REQUESTED_AT = f"{GROUP}/requested-at"
"""Annotation on a LicenseUsage: a new value (by convention an RFC 3339 time) collects and re-sends
now."""
