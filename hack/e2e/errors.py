"""What ends a run, with the exit code that says whose turn it is."""

from typing import ClassVar


class Ended(Exception):
    """The run cannot go on; the message names what was seen and the fix."""

    code: ClassVar[int] = 1


class Failed(Ended):
    """A step did not do what is promised: a defect, of the installation or of the cluster."""


class Refused(Ended):
    """Nothing was changed: the cluster may not be used, or a setting is wrong."""

    code: ClassVar[int] = 2


class Missing(Ended):
    """Nothing was changed: a program or a server is not there."""

    code: ClassVar[int] = 3
