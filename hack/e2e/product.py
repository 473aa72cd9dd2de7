"""The sample product: its people, the true number, and people who sign in during the run."""

import json
import secrets
from dataclasses import dataclass
from typing import Final

from hack.e2e.claim import PRODUCT
from hack.e2e.commands import Commands
from hack.e2e.vendor import secret

DEPLOYMENT: Final = "sample-product"
_TRUTH: Final = "/var/lib/sample-product/truth.json"
_SIGN_IN: Final = """
import json, sqlite3, sys, urllib.request
start, count = int(sys.argv[1]), int(sys.argv[2])
database = sqlite3.connect("file:/var/lib/sample-product/people.db?mode=ro", uri=True)
idle = database.execute(
    "select id from users where coalesce(last_active, 0) < ? and not deactivated"
    " and id not like 'bot-%' and id <> 'monitoring' order by id limit ?", (start, count))
for (user,) in idle.fetchall():
    body = json.dumps({"user": user}).encode()
    asked = urllib.request.Request("http://127.0.0.1:8080/login", body,
                                   {"Content-Type": "application/json"})
    urllib.request.urlopen(asked).read()
    print("in")
"""


@dataclass(slots=True)
class Product:
    """The product in the cluster.

    Attributes:
        commands: Reach the cluster.
        start: The cycle's first second, since the epoch.
        more: How many people have signed in during the run, who had not been active before.
    """

    commands: Commands
    start: int
    more: int = 0

    def token(self) -> dict[str, object]:
        """Return the Secret that the product asks for and the operator shows."""
        data = {"token": secrets.token_hex(24)}
        return secret(PRODUCT, "sample-meter", data, kind="licenseusage.dev/credentials")

    def truth(self) -> int:
        """Return how many people were active in the cycle: what the product wrote, and `more`."""
        return int(json.loads(self._exec("cat", _TRUTH))["activeUsers"]) + self.more

    def sign_in(self, count: int) -> None:
        """Sign in people who were not active in the cycle."""
        answer = self._exec("python", "-c", _SIGN_IN, str(self.start), str(count))
        self.more += len(answer.split())

    def _exec(self, *command: str) -> str:
        target = ("exec", f"deployment/{DEPLOYMENT}", "-n", PRODUCT, "-c", "product")
        return self.commands.kube(*target, "--", *command)
