"""``python -m tests.e2e.products [NAME…|none]``: install the real products of the tests, once.

Without one, its tests are skipped by name; in CI (``CI`` is set) that is an error.
"""

import os
import sys

from hack.controlplane.progress import Progress
from tests.e2e.products import gitea, jupyterhub, keycloak, labelstudio, superset, synapse, unleash
from tests.e2e.products.installing import NotInstalled

INSTALLATIONS = {
    made.name: made
    for made in (
        jupyterhub.INSTALLATION,
        synapse.INSTALLATION,
        superset.INSTALLATION,
        labelstudio.INSTALLATION,
        unleash.INSTALLATION,
        gitea.INSTALLATION,
        keycloak.INSTALLATION,
    )
}


def main(names: list[str]) -> int:
    """Install them; 0 if that went well or may be left out, 2 for an unknown name, else 3."""
    if unknown := set(names) - {*INSTALLATIONS, "none"}:
        known = ", ".join(INSTALLATIONS)
        print(f"error: no product {', '.join(unknown)}; there are {known}", file=sys.stderr)
        return 2
    missing = 0
    for name, installation in INSTALLATIONS.items():
        if names and name not in names:
            continue
        progress = Progress(about=installation.name)
        try:
            installation.find()
        except NotInstalled:
            try:
                with progress.step("installed, once"):
                    installation.prepare()
            except NotInstalled as error:
                missing += 1
                progress.say(f"{error}\nIts tests will be skipped.")
                continue
        progress.say(f"ready: {installation.folder}")
    return 3 if missing and os.environ.get("CI") else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
