"""``licenseusage doctor``: what is wrong with an installation, and how to mend it.

`looking` reads facts with the caller's rights, the other modules judge them without any effect, and
`command` prints what they found.
"""

from licenseusage.cli.doctor.command import app

__all__ = ["app"]
