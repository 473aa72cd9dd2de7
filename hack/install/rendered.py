"""The text of ``manifests/install.yaml``: what kustomize makes of an overlay, and a head."""

import subprocess
from pathlib import Path
from typing import Final

_MANIFESTS: Final = Path(__file__).resolve().parents[2] / "manifests"

INSTALL: Final = _MANIFESTS / "install.yaml"

_OVERLAY: Final = _MANIFESTS / "overlays" / "install"
_HEAD: Final = """\
# The custom resources and the operator for a whole cluster: kubectl apply -f install.yaml
#
# Write the name of the image that you pushed into the line `image:`; there is one. Never run
# `kubectl delete -f` on this file: the ledger and all LicenseUsages and reports would go, too
# (docs/operations.md, Remove).
#
# Rendered from manifests/overlays/install by `make generate`; do not edit anything else.
"""


def rendered(kubectl: Path) -> str:
    """Return what ``install.yaml`` should contain.

    Args:
        kubectl: The program; its kustomize decides about order and form.

    Raises:
        subprocess.CalledProcessError: The overlay cannot be built; kubectl has said why.
    """
    command = [str(kubectl), "kustomize", str(_OVERLAY)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return f"{_HEAD}---\n{done.stdout}"
