"""``python -m trials.months``: which class of number do the months of ordinary installations get?

    python -m trials.months                          # the table of docs/measurement.md
    python -m trials.months --months 2 --only Never  # a part of it, sooner

Exit code 1: a final contradicts the truth, or what is promised of ordinary months does not hold.
"""

import argparse
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial

# As `licenseusage.cli.operator` does, before what takes the time is imported.
sys.modules.setdefault("kubernetes", None)  # type: ignore[arg-type]

from trials.months.promises import broken  # noqa: E402
from trials.months.run import Final, Size, finals  # noqa: E402
from trials.months.scenario import Scenario, scenarios  # noqa: E402
from trials.months.table import markdown  # noqa: E402


def main() -> int:
    """Run the command."""
    options = _options()
    size = Size(options.months, options.people, options.interval, options.seed)
    wanted = [scenario for scenario in scenarios() if set(options.only) <= set(scenario.words)]
    work: Callable[[Scenario], list[Final]] = partial(finals, size=size)
    results: dict[Scenario, list[Final]] = {}
    with ProcessPoolExecutor(options.workers) as pool:
        for scenario, months in zip(wanted, pool.map(work, wanted), strict=True):
            results[scenario] = months
            sys.stderr.write(f"{len(results)} of {len(wanted)}: {', '.join(scenario.words)}\n")
    sys.stdout.write(markdown(results))
    violations = [
        violation for scenario, months in results.items() for violation in broken(scenario, months)
    ]
    sys.stdout.writelines(f"NOT HELD: {violation}\n" for violation in violations)
    return 1 if violations else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m trials.months", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    size = Size()
    parser.add_argument("--months", type=int, default=size.months, help="of each installation")
    parser.add_argument("--people", type=int, default=size.people, help="accounts of each")
    parser.add_argument(
        "--interval", type=int, default=size.interval_minutes, help="minutes between polls"
    )
    parser.add_argument("--seed", type=int, default=size.seed, help="makes what happens")
    parser.add_argument(
        "--only",
        nargs="*",
        default=(),
        help="rows with all these words, such as Never or OpenCloud",
    )
    parser.add_argument("--workers", type=int, default=2, help="processes at work (2)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
