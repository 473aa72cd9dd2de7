"""What can go wrong with the control plane, in words for the person who wanted it."""


class ControlPlaneError(Exception):
    """The control plane cannot be had or does not start; says what was seen and the fix."""


class KubectlError(ControlPlaneError):
    """A kubectl command failed.

    Attributes:
        returncode: kubectl's exit code.
        stderr: What kubectl said, as it said it.
    """

    def __init__(self, args: tuple[str, ...], returncode: int, stderr: str) -> None:
        """Name the command and repeat what kubectl said."""
        super().__init__(f"kubectl {' '.join(args)}: exit code {returncode}: {stderr.strip()}")
        self.returncode = returncode
        self.stderr = stderr
