"""Programs for the tests that no Python package brings: found, built from Go, or left out."""

from hack.programs.installed import Installed
from hack.programs.module import GoModule
from hack.programs.preparing import NoProgram, prepare

__all__ = ["GoModule", "Installed", "NoProgram", "prepare"]
