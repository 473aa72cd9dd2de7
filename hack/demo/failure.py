"""A demo that did not work says where, and what the operator said of it."""

import subprocess
from typing import Self

from hack.controlplane import ControlPlane, ControlPlaneError, KubectlError
from hack.demo import stage
from hack.demo.children import ChildDied, Children
from hack.demo.vendor import CommandFailed

_EXPECTED = (ChildDied, CommandFailed, ControlPlaneError, KubectlError, stage.StageError)


class Failed(Exception):
    """One step did not work; the message is the whole report for the reader."""

    @classmethod
    def seen(
        cls, step: str, error: Exception, cp: ControlPlane | None, children: Children | None
    ) -> Self:
        """Collect what can be told: the step, the error, the conditions, the last log lines."""
        what = str(error) if isinstance(error, _EXPECTED) else repr(error)
        parts = [f"✗ {step}: failed", what]
        if cp is not None:
            parts.append("The LicenseUsage's conditions:\n" + _conditions(cp))
        quoted = isinstance(error, ChildDied)  # which quotes the log of the process that ended
        if children is not None and children.log("operator").exists() and not quoted:
            parts.append("The operator's last lines:\n" + children.tail("operator"))
        return cls("\n\n".join(parts))


def _conditions(cp: ControlPlane) -> str:
    columns = '{range .status.conditions[*]}{.type}={.status} {.reason}: {.message}{"\\n"}{end}'
    named = ("-n", stage.NAMESPACE, "licenseusage", stage.USAGE)
    try:
        done = cp.kubectl("get", *named, "-o", f"jsonpath={columns}", check=False)
    except (OSError, subprocess.SubprocessError) as error:
        return f"(cannot be read: {error})"
    return done.stdout.strip() or done.stderr.strip() or "(none)"
