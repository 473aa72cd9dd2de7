"""``python -m hack.soak.mutants``: each mutation alone, and whether the soak notices it.

Exit code 0: every one was noticed; 1: one was not.
"""

import json
import subprocess
import sys

from hack.soak.mutations import names

CYCLES = 400
"""A mutation that survives so many cycles is not noticed."""


def main() -> int:
    """Run every mutation that was named, or all."""
    survivors = 0
    for name in sys.argv[1:] or names():
        done = subprocess.run(
            [sys.executable, "-m", "hack.soak", "--cycles", str(CYCLES), "--mutation", name,
             "--output", "json"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        try:
            told = json.loads(done.stdout)
        except ValueError:
            told = {"violation": None, "histories": 0, "reproduce": done.stderr[-300:]}
        survived = done.returncode != 1 or not told["violation"]
        survivors += survived
        verdict = "SURVIVES" if survived else f"noticed: {told['violation']}"
        sys.stdout.write(f"{name}: {verdict[:200]} (after {told['histories']} histories)\n")
        sys.stdout.flush()
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
