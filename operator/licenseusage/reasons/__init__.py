"""The one vocabulary of reasons: each word, what it means, whether a person is needed, the fix.

Standard library only, and below everything else: every layer may name a reason.
"""

from licenseusage.reasons.vocabulary import Reason

__all__ = ["Reason"]
