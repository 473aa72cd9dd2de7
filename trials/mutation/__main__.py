"""``python -m trials.mutation``: how many broken versions of the rules do the tests notice?

Each mutant is tried in a process forked from one that has collected the tests already, with those
tests of its group that call what was broken, until one fails. A mutant that nobody notices has
survived: it is equivalent, as ``equivalent.txt`` explains, or a test is missing.
"""

import argparse
import os
import random
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import hypothesis
import pytest

from trials.mutation.groups import GROUPS, ROOT, Group
from trials.mutation.mutants import Mutant, mutants
from trials.mutation.trials import Trials

EQUIVALENT = Path(__file__).with_name("equivalent.txt")
LEAST = 90  # % of the mutants that are not known to be equivalent
HISTORIES = "40"  # random histories per rule and mutant; the unit tests notice most


def main(arguments: Sequence[str] | None = None) -> int:
    """Try the mutants, print the tally and who survived; 0 if enough were noticed."""
    options = _options(arguments)
    os.environ["HISTORIES"] = HISTORIES
    hypothesis.settings.register_profile("mutation", max_examples=20, deadline=None)
    known = _equivalent()
    group = GROUPS[options.group]
    chosen = [mutant for name in options.modules for mutant in mutants(name, _source(group, name))]
    if options.sample and options.sample < len(chosen):
        chosen = random.Random(options.seed).sample(chosen, options.sample)  # noqa: S311
    tally: Counter[tuple[str, str]] = Counter()
    unsound: list[str] = []

    def report(mutant: Mutant, noticed: bool) -> None:
        if not mutant.was:
            if noticed:
                unsound.append(mutant.module)
            return
        equivalent = mutant.name in known
        verdict = "killed" if noticed else "equivalent" if equivalent else "survived"
        tally[mutant.module, verdict] += 1
        if not noticed and not equivalent:
            print(f"survived, line {mutant.line}: {mutant.name}", flush=True)
        if (tried := tally.total()) % 100 == 0:
            print(f"{tried} of {len(chosen)} tried", file=sys.stderr, flush=True)

    # A module that is not broken must go unnoticed, else the trials themselves are what is noticed.
    sources = {name: _source(group, name) for name in options.modules}
    controls = [Mutant(name, 0, 0, "", "", source, "", "") for name, source in sources.items()]
    trials = Trials([*controls, *chosen], group, options.jobs, options.seconds, report)
    # Without a terminal: what pytest says of thousands of broken runs is of no interest.
    quiet = ["-o", "addopts=--import-mode=importlib", "-p", "no:cacheprovider", "-p", "no:terminal"]
    tests = [str(ROOT / "tests" / test) for test in group.tests]
    pytest.main([*quiet, "--hypothesis-profile=mutation", *tests], plugins=[trials])
    if not trials.sound or unsound:
        where = ", ".join(unsound) or "the package"
        print(f"error: the tests fail with {where} as it is", file=sys.stderr)
        return 3
    return _print_tally(tally)


def _source(group: Group, module: str) -> str:
    return (group.folder / module).read_text()


def _equivalent() -> set[str]:
    """Mutants that change nothing that can be seen; each line is followed by its explanation."""
    lines = EQUIVALENT.read_text().splitlines() if EQUIVALENT.exists() else []
    return {line for line in lines if line and not line.startswith((" ", "#"))}


def _print_tally(tally: Counter[tuple[str, str]]) -> int:
    print(f"\n{'module':<20}{'killed':>8}{'equivalent':>12}{'survived':>10}")
    totals: Counter[str] = Counter()
    for module in sorted({module for module, _ in tally}):
        row = {what: tally[module, what] for what in ("killed", "equivalent", "survived")}
        totals.update(row)
        print(f"{module:<20}{row['killed']:>8}{row['equivalent']:>12}{row['survived']:>10}")
    counted = totals["killed"] + totals["survived"]
    share = 100 * totals["killed"] / counted if counted else 100.0
    print(
        f"{'all':<20}{totals['killed']:>8}{totals['equivalent']:>12}{totals['survived']:>10}"
        f"\n{share:.1f} % noticed, at least {LEAST} % wanted"
    )
    return 0 if share >= LEAST else 1


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m trials.mutation", description=__doc__)
    parser.add_argument("modules", nargs="*", help="files of the group; none: all of them")
    parser.add_argument("--group", choices=list(GROUPS), default="metering")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--seconds", type=float, default=60.0, help="most CPU time of one mutant")
    parser.add_argument("--sample", type=int, default=0, help="try only so many, chosen at random")
    parser.add_argument("--seed", default="0", help="of the sample")
    options = parser.parse_args(arguments)
    if not options.modules:
        options.modules = GROUPS[options.group].modules
    return options


if __name__ == "__main__":
    sys.exit(main())
