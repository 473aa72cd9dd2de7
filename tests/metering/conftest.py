"""At the end of a run: for how many random histories each rule was tried."""

import re
from collections import Counter

import pytest

_BLOCK = re.compile(
    r"^tests/metering/.*::(?P<rule>test_\w+)\[histories (?P<first>\d+)-(?P<last>\d+)\]$"
)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the tally of ``tests.metering.histories``."""
    held: Counter[str] = Counter()
    for report in terminalreporter.stats.get("passed", ()):
        found = _BLOCK.match(report.nodeid)
        if found and report.when == "call":
            held[found["rule"]] += int(found["last"]) - int(found["first"]) + 1
    if held:
        terminalreporter.write_line(
            f"{held.total()} random histories held: {len(held)} rules, "
            f"each tried with at least {min(held.values())}"
        )
