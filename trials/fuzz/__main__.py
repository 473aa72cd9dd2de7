"""``python -m trials.fuzz``: coverage-guided fuzzing, each target for its part of the time.

    python -m trials.fuzz --seconds 600           # all targets
    python -m trials.fuzz --target times          # one of them
    python -m trials.fuzz --target times --input FILE   # an input that broke it, again

Exit code 0: nothing was found; 1: an input broke a target, and the last lines name its file; 3: it
cannot run here (atheris is installed on Linux on amd64 only).
"""

import argparse
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

NAMES = ("lists", "lines", "metrics", "times", "events", "links")
CORPUS = Path(__file__).with_name("corpus")


def main() -> int:
    """Run the command."""
    arguments = _arguments()
    if arguments.input is not None:
        from trials.fuzz.targets import TARGETS

        TARGETS[arguments.target](arguments.input.read_bytes())
        return 0
    if importlib.util.find_spec("atheris") is None:
        sys.stderr.write("atheris is not installed: it exists for Linux on amd64 only\n")
        return 3
    if arguments.alone:
        return _fuzz(arguments.target, arguments.seconds)
    names = [arguments.target] if arguments.target else list(NAMES)
    each = max(1, arguments.seconds // len(names))
    for name in names:
        sys.stderr.write(f"{name}: {each} s\n")
        command = [sys.executable, "-m", "trials.fuzz", "--alone", "--target", name]
        done = subprocess.run([*command, "--seconds", str(each)])
        if done.returncode:
            sys.stderr.write(
                f"{name}: broken; the input is in {_kept(name)}: python -m trials.fuzz --target "
                f"{name} --input FILE\n"
            )
            return 1
    return 0


def _fuzz(name: str, seconds: int) -> int:
    """Fuzz one target in this process, which ends with it."""
    import atheris  # type: ignore[import-untyped]

    with atheris.instrument_imports(include=["licenseusage", "prometheus_client", "jmespath"]):
        from trials.fuzz.targets import TARGETS

    kept = _kept(name)
    kept.mkdir(parents=True, exist_ok=True)
    options = [
        f"-max_total_time={seconds}",
        "-timeout=10",
        "-rss_limit_mb=1024",
        "-max_len=4096",
        "-print_final_stats=1",
        "-verbosity=0",
        f"-artifact_prefix={kept}/broken-",
    ]
    atheris.Setup([sys.argv[0], *options, str(kept), str(CORPUS / name)], TARGETS[name])
    atheris.Fuzz()
    return 0


def _kept(name: str) -> Path:
    """Return the folder of what was found of a target, kept between runs."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "licenseusage" / "fuzz" / name


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m trials.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=int, default=600, help="in all (default: 600)")
    parser.add_argument("--target", choices=NAMES, help="only this one")
    parser.add_argument("--input", type=Path, metavar="FILE", help="run a target on a file, once")
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if (arguments.input or arguments.alone) and not arguments.target:
        parser.error("--input needs --target")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
