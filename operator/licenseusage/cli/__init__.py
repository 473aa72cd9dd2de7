"""The command line: ``licenseusage …``, also installed as ``kubectl-licenseusage``."""

from licenseusage.cli.app import main

__all__ = ["main"]
