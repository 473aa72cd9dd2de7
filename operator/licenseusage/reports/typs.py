"""The six document types of version 1 and their limits (REPORT_FORMAT §2)."""

ALGORITHM = "Ed25519"
VERSION = 1

LICENSE = "usage-license+jwt"
ENROLMENT = "usage-enrolment+jwt"
SUCCESSION = "usage-key-succession+jwt"
REPORT = "usage-report+jwt"
RECEIPT = "usage-receipt+jwt"
BUNDLE = "usage-bundle+jwt"

MAX_CHARACTERS = {
    LICENSE: 16384,
    ENROLMENT: 32768,
    SUCCESSION: 8192,
    REPORT: 65536,
    RECEIPT: 8192,
    BUNDLE: 4096,
}
"""Longest token of each type, in characters (all of them ASCII)."""

MAX_HEADER_CHARACTERS = 512
THUMBPRINT_URI = "urn:ietf:params:oauth:jwk-thumbprint:sha-256:"
SKEW_SECONDS = 300
"""Two machines' clocks may differ by this much before a time of issue lies "in the future"."""

DAY_SECONDS = 86400
