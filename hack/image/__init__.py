"""The image as files: its layer, an OCI archive of it, and what a build is told.

``arguments`` says version, commit, time and base, for every way of building. ``layers`` and
``archive`` make of the root file system (`hack.rootfs`) what container runtimes load.
"""
