"""A real etcd and kube-apiserver for demo and tests: found or built, started, never left behind.

The way of this package: ``binaries`` finds them (``archive`` and ``build`` fetch or build what is
missing), ``pki`` makes the keys, ``processes`` and ``guard`` run them and let none outlive its
parent, and ``instance`` is the control plane in use.
"""

from hack.controlplane.binaries import Binaries, find
from hack.controlplane.errors import ControlPlaneError, KubectlError
from hack.controlplane.instance import ControlPlane

__all__ = ["Binaries", "ControlPlane", "ControlPlaneError", "KubectlError", "find"]
