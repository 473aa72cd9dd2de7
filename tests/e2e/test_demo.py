"""`make demo ONCE=1`, each variant of it: it ends by itself, and its promises are true."""

import functools
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hack.controlplane import Binaries, find

ROOT = Path(__file__).resolve().parents[2]
# Three minutes are promised once prepared; it runs beside other tests' processes here.
SECONDS = 280
VARIANTS = {"online": {}, "export": {"MODE": "export"}, "nowhere": {"LICENSE": "none"}}

pytestmark = [pytest.mark.controlplane, pytest.mark.timeout(SECONDS + 60)]


@pytest.fixture(scope="module")
def binaries() -> Binaries:
    """Fetched or built before the clock runs."""
    return find()


@pytest.fixture(scope="module")
def temporary() -> Iterator[Path]:
    """Where the demos put everything: easy to find in a list of processes."""
    with tempfile.TemporaryDirectory(prefix="demo-") as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def demo(binaries: Binaries, temporary: Path) -> Callable[[str], str]:
    """Run a variant to its end, once, and return what it printed.

    One after the other: each has pods, an operator and a cluster of its own, and a cycle's end that
    is polled late, because the machine is busy with another one, proves less.
    """

    @functools.cache
    def run(name: str) -> str:
        with subprocess.Popen(
            [sys.executable, "-m", "hack.demo"],
            cwd=ROOT,
            env=os.environ
            | {"ONCE": "1", "MODE": "", "LICENSE": "", "TMPDIR": str(temporary)}
            | VARIANTS[name]
            | {"KUBEBUILDER_ASSETS": str(binaries.folder), "NO_COLOR": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as started:
            try:
                said, _ = started.communicate(timeout=SECONDS)
            finally:
                started.terminate()
        assert started.returncode == 0, said
        return said

    return run


def test_with_a_licence_the_final_is_accepted_and_its_number_is_the_truth(
    demo: Callable[[str], str],
) -> None:
    said = demo("online")
    assert "the ended cycle is Final: Final" in said
    assert "the vendor has accepted it: Accepted" in said
    assert "report and receipt verify: receipt verified" in said
    match = re.search(r"its number is the truth: (\d+) reported, (\d+) true", said)
    assert match is not None
    assert match[1] == match[2]
    assert int(match[1]) > 3_000
    assert re.search(r"^sample-\w+-\d+ +Final .* Accepted", said, re.MULTILINE)
    written = re.search(r"a statement for people is written: open file://(\S+)", said)
    assert written is not None
    page = Path(written[1]).read_text()
    assert f'<span class="big">{int(match[1]):,}</span>' in page
    assert "The signatures of these reports were verified." in page


def test_in_export_mode_a_file_brings_the_number_out_and_an_object_the_receipt_back(
    demo: Callable[[str], str],
) -> None:
    printed = demo("export")
    match = re.search(r"its number is the truth: (\d+) reported, (\d+) true", printed)
    assert match is not None
    assert match[1] == match[2]
    assert "the vendor has accepted it: Accepted" in printed
    assert "nothing had reached the vendor before: 0 reports" in printed
    twice = re.search(
        r"carried twice, it counts once: (\d+) of (\d+) documents new, then (\d+) of (\d+) known, "
        r"with the same receipts; (\d+) reports stored, then (\d+)",
        printed,
    )
    assert twice is not None
    assert twice[1] == twice[2] == twice[3] == twice[4]
    assert twice[5] == twice[6]
    assert "UsageReceipts are used: Ready=True (ReceiptsImported)" in printed
    assert "the LicenseUsage says so: Reported=True (Exported)" in printed
    assert re.search(r"^sample-\w+-\d+ +Final .* Accepted", printed, re.MULTILINE)
    assert "report and receipt verify: receipt verified" in printed
    written = re.search(r"a statement for people is written: open file://(\S+)", printed)
    assert written is not None
    assert f'<span class="big">{int(match[1]):,}</span>' in Path(written[1]).read_text()


def test_without_a_licence_the_number_is_the_truth_and_nothing_is_reported(
    demo: Callable[[str], str],
) -> None:
    said = demo("nowhere")
    match = re.search(r"its number is the truth: (\d+) stated, (\d+) true", said)
    assert match is not None
    assert match[1] == match[2]
    assert "nothing is reported: 0 reports" in said
    assert "Nothing was reported, and nothing could be" in said


def test_nothing_of_a_demo_is_left(demo: Callable[[str], str], temporary: Path) -> None:
    for name in VARIANTS:
        demo(name)
    processes = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    assert [line for line in processes.stdout.splitlines() if str(temporary) in line] == []
    assert list(temporary.iterdir()) == []
