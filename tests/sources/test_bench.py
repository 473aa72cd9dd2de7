"""The benchmark runs, and every contender finds the same users."""

import shutil
import subprocess
import sys


def test_all_contenders_count_the_same_users(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "bench", "--users", "2500", "--repeat", "1", "--events", "0"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2,500 users, one response (preset OpenCloud):" in done.stdout
    assert "2,500 users, pages of 1,000 (preset Standard):" in done.stdout
    assert done.stdout.count("  first collection, to its commit ") == 2
    assert done.stdout.count("  again, 1 % changed ") == 2
    assert "instead of" not in done.stdout


def test_the_readers_of_an_event_log_count_the_same_people(nats_program):
    done = subprocess.run(
        [sys.executable, "-m", "bench", "--users", "--events", "3000"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3,000 events of " in done.stdout
    assert done.stdout.count("  polls, to their last commit ") == 1
    assert "instead of" not in done.stdout


def test_a_program_that_is_not_installed_is_left_out_with_a_word(monkeypatch):
    from bench.contenders import CONTENDERS, missing

    monkeypatch.setattr(shutil, "which", lambda name: None if name == "jq" else f"/bin/{name}")
    assert {name: missing(name) for name in CONTENDERS if missing(name)} == {
        "curl | jq | sort -u | wc -l": "jq"
    }
