"""The image's root file system, built and entered without a container runtime, for tests.

``dockerfile`` reads operator/Dockerfile, ``context`` says what its COPY lines copy, ``base`` stands
in for the base image, ``build`` follows the lines, and ``container`` starts programs in the result
as a pod would have them. What is tested is what is shipped: no step is written down twice.
"""

from hack.rootfs.build import Image, build
from hack.rootfs.container import Container, NoContainers, refused

__all__ = ["Container", "Image", "NoContainers", "build", "refused"]
