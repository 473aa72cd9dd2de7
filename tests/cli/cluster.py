"""A cluster that receipts are imported into: a kubectl that lists reports and keeps the rest."""

import json
import os
import stat

from tests.delivery.people import reports

TOKENS = reports(3)
CHAIN_NAMESPACE = "collab"


def report(token, namespace=CHAIN_NAMESPACE, name="production-000001"):
    return {
        "kind": "UsageReport",
        "metadata": {"namespace": namespace, "name": name},
        "spec": {"token": token},
    }


class Cluster:
    """A `kubectl` that lists UsageReports and keeps what is applied."""

    def __init__(self, folder, monkeypatch):
        self.folder = folder
        program = folder / "kubectl"
        program.write_text(
            f"""#!/bin/sh
echo "$@" >> {folder}/calls
case $1 in
get) cat {folder}/reports ;;
apply) test -e {folder}/refuse && {{ cat {folder}/refuse >&2; exit 1; }}
    cat > {folder}/applied; echo applied ;;
esac
"""
        )
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
        self.has(report(TOKENS[0]))

    def has(self, *objects):
        (self.folder / "reports").write_text(json.dumps({"items": objects}))

    @property
    def calls(self):
        return (self.folder / "calls").read_text().splitlines()

    @property
    def applied(self):
        file = self.folder / "applied"
        return json.loads(file.read_text())["items"] if file.exists() else []


def text(*receipts):
    return "".join(f"{receipt}\n" for receipt in receipts)
