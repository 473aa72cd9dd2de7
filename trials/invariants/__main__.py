"""``python -m trials.invariants``: break each invariant in a copy of the sources: is it noticed?

Each breakage is one edit of the product. The tests named beside it run against the copy, and must
fail; before that they run against an unbroken one, and must pass. The copy has an environment of
its own, so that operators and workers that a test starts are made of it, too.
"""

import argparse
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from pathlib import Path

from trials.invariants.breakages import BREAKAGES, Breakage

ROOT = Path(__file__).resolve().parents[2]
_COPIED = ("operator", "tests", "hack", "trials", "examples", "crds", "manifests", "docs", "bench")
_FILES = ("pyproject.toml", "README.md")
_PYTHON = Path(".venv/bin/python")
_EDITABLE = "_editable_impl_licenseusage.pth"
"""Names the folder of the product in an environment."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Try the breakages, print which were noticed; 0 if all were."""
    options = _options(arguments)
    chosen = [
        breakage
        for breakage in BREAKAGES
        if breakage.invariant.startswith(tuple(options.invariants))
    ]
    with tempfile.TemporaryDirectory(prefix="licenseusage-broken-") as folder:
        tree = Path(folder)
        _copy(tree)
        tests = sorted({test for breakage in chosen for test in breakage.tests})
        print(f"unbroken, {len(tests)} files of tests …", flush=True)
        if not _passes(tree, tests):
            print("error: the tests fail before anything is broken", file=sys.stderr)
            return 3
        missed = [breakage for breakage in chosen if not _noticed(tree, breakage)]
    print(f"{len(chosen) - len(missed)} of {len(chosen)} noticed")
    return 1 if missed else 0


def _noticed(tree: Path, breakage: Breakage) -> bool:
    path = tree / breakage.file
    source = path.read_text()
    path.write_text(source.replace(breakage.right, breakage.wrong))
    try:
        noticed = not _passes(tree, breakage.tests)
    finally:
        path.write_text(source)
    print(
        f"{'noticed' if noticed else 'MISSED':<8} {breakage.invariant[:2]} {breakage.how}",
        flush=True,
    )
    return noticed


def _passes(tree: Path, tests: Sequence[str]) -> bool:
    """Whether the tests pass; an error of pytest itself is none of the tests' verdicts."""
    command = [str(tree / _PYTHON), "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, *(f"tests/{test}" for test in tests)],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in (0, 1):
        sys.exit(f"error: pytest ended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr}")
    return done.returncode == 0


def _copy(tree: Path) -> None:
    ignore = shutil.ignore_patterns("__pycache__", ".*")
    for name in _COPIED:
        shutil.copytree(ROOT / name, tree / name, ignore=ignore)
    for name in _FILES:
        shutil.copy(ROOT / name, tree / name)
    _make_environment(tree)


def _make_environment(tree: Path) -> None:
    """Make a virtual environment with the packages of this one, and the product of the copy."""
    there, packages = Path(sys.prefix), Path(sysconfig.get_path("purelib"))
    copied = tree / ".venv" / packages.relative_to(there)
    copied.mkdir(parents=True)
    shutil.copy(there / "pyvenv.cfg", tree / ".venv")
    for package in packages.iterdir():
        if package.name != _EDITABLE:
            (copied / package.name).symlink_to(package)
    (copied / _EDITABLE).write_text(f"{tree / 'operator'}\n")
    python = tree / _PYTHON
    python.parent.mkdir()
    for program in (there / "bin").iterdir():
        (python.parent / program.name).symlink_to(program)
    for name in ("licenseusage", "kubectl-licenseusage"):
        script = python.parent / name
        _, code = script.read_text().split("\n", 1)
        script.unlink()
        script.write_text(f"#!{python}\n{code}")
        script.chmod(0o755)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m trials.invariants", description=__doc__)
    parser.add_argument(
        "invariants", nargs="*", default=[""], help="numbers, such as 1. or 8.; none: all"
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
