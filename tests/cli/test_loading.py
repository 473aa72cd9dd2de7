"""What a command loads before it does anything: help and mistakes are answered at once."""

import subprocess
import sys

from licenseusage.cli.app import GROUPS

_LOADED_BY = """
import os, sys
from licenseusage.cli.app import GROUPS, app

sys.stdout, before = open(os.devnull, 'w'), set()
for name in GROUPS:
    try:
        app([name, '--help'], prog_name='licenseusage')
    except SystemExit as end:
        assert end.code == 0, (name, end.code)
    seen = {module.split('.')[0] for module in sys.modules} & {'kubernetes', 'kopf'}
    print(name, *sorted(seen - before), file=sys.stderr)
    before |= seen
"""


def test_no_command_loads_the_clients_of_kubernetes_for_its_help():
    """They take a third of a second to load, and only pods and the operator itself need them.

    The commands of a group are loaded with it.
    """
    done = subprocess.run(
        [sys.executable, "-c", _LOADED_BY], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines() == list(GROUPS)
