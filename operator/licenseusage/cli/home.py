"""A home for processes of users that have none, as in a pod with a user of the cluster's choice."""

import os
from pathlib import Path


def have_a_home() -> None:
    """Set ``HOME`` for a user that has none: the Kubernetes client looks for it when imported.

    Most container runtimes set the same for a uid without an entry in /etc/passwd.
    """
    try:
        Path.home()
    except RuntimeError:
        os.environ["HOME"] = "/"
