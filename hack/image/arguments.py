"""What a build is told: version, commit, its time, and the base, which a release pins by digest.

Standard library only: ``make image`` needs a container builder, but no packages.
"""

import argparse
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_PINNED = re.compile(r"@sha256:[0-9a-f]{64}$")


class NotPinned(Exception):
    """A release must name its base by a digest; the message has what was given."""


def epoch(environment: Mapping[str, str], root: Path = ROOT) -> int:
    """Return the time that the image has: ``SOURCE_DATE_EPOCH``, or that of the commit; else 0.

    Source: https://reproducible-builds.org/specs/source-date-epoch/
    """
    given = environment.get("SOURCE_DATE_EPOCH") or _git(root, "log", "-1", "--format=%ct")
    return int(given or 0)


def arguments(base: str, source: str, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the build arguments of operator/Dockerfile.

    Args:
        base: Of the image that it begins with.
        source: URL of the repository; "" leaves the Dockerfile's default.
        environment: May have ``SOURCE_DATE_EPOCH``.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    created = datetime.fromtimestamp(epoch(environment), UTC)
    changed = "-changed" if _git(ROOT, "status", "--porcelain") else ""
    revision = _git(ROOT, "rev-parse", "HEAD")
    made = {
        "PYTHON": base,
        "VERSION": str(project["version"]),
        "CREATED": created.isoformat().replace("+00:00", "Z"),
    }
    if revision:
        made["REVISION"] = revision + changed
    return made | ({"SOURCE": source} if source else {})


def check_pinned(base: str, *, release: bool) -> str | None:
    """Return what to say of a base that is not pinned; None: it is.

    Raises:
        NotPinned: This is a release.
    """
    if _PINNED.search(base):
        return None
    warning = f"the base image {base} is not pinned by a digest (…@sha256:…)"
    if release:
        raise NotPinned(f"{warning}; a release must be: give BASE=IMAGE@sha256:DIGEST")
    return f"{warning}: another day may build another image"


def default_base() -> str:
    """Return the base that the Dockerfile names."""
    text = (ROOT / "operator" / "Dockerfile").read_text("utf-8")
    default = re.search(r"^ARG PYTHON=(\S+)$", text, re.M)
    assert default is not None  # noqa: S101 - the file is ours
    return default[1]


def _git(root: Path, *words: str) -> str:
    command = ["git", "-C", str(root), *words]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:  # no git: sources from an archive
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def main() -> int:
    """Print ``--build-arg NAME=value …``; 2 if this is a release and the base is not pinned."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", default="", help="default: the one of the Dockerfile")
    parser.add_argument("--source", default="", help="URL of the repository")
    parser.add_argument("--release", action="store_true", help="refuse a base without a digest")
    given = parser.parse_args()
    base = given.base or default_base()
    try:
        warning = check_pinned(base, release=given.release)
    except NotPinned as refused:
        print(f"error: {refused}", file=sys.stderr)
        return 2
    if warning:
        print(f"note: {warning}", file=sys.stderr)
    for name, value in arguments(base, given.source, os.environ).items():
        print(f"--build-arg {name}={value}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
