"""The root: quick, honest about names, and without tracebacks."""

import json
import subprocess
import sys

import pytest

from licenseusage.cli.app import GROUPS, program_name

EXPECTED = (
    "operator doctor receiver crds preset source license vendor keys report approve bundle "
    "statement explain erase history ledger reasons version"
).split()


def test_help_lists_every_group(run):
    done = run("--help")
    assert done.code == 0
    assert list(GROUPS) == EXPECTED
    for name in EXPECTED:
        assert f"\n  {name} " in done.out


def test_help_imports_no_group():
    code = (
        "import sys; sys.argv = ['licenseusage', '--help']\n"
        "from licenseusage.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print('LOADED', [m for m in sys.modules if m.split('.')[0] in"
        " ('kopf', 'kubernetes', 'pydantic', 'httpx', 'sqlalchemy', 'joserfc', 'fastapi')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("LOADED []\n")


def test_no_arguments_show_the_help_and_are_a_usage_error(run):
    done = run()
    assert done.code == 2
    assert "Commands:" in done.out + done.err


def test_an_unknown_command_is_a_usage_error_with_a_suggestion(run):
    done = run("licence")
    assert done.code == 2
    assert "No such command 'licence'" in done.err
    assert "Traceback" not in done.err


def test_an_unknown_option_is_a_usage_error(run):
    done = run("version", "--colour")
    assert done.code == 2
    assert "--colour" in done.err


@pytest.mark.parametrize(
    ("argv0", "shown"),
    [
        ("/usr/bin/licenseusage", "licenseusage"),
        ("/usr/local/bin/kubectl-licenseusage", "kubectl licenseusage"),
        ("/x/licenseusage/__main__.py", "licenseusage"),
    ],
)
def test_program_name(argv0, shown):
    assert program_name(argv0) == shown


def test_as_a_kubectl_plugin_usage_lines_say_so(run):
    done = run("report", "verify", "--help", name="kubectl-licenseusage")
    assert done.out.startswith("Usage: kubectl licenseusage report verify ")


def test_an_unexpected_error_is_one_line(run, monkeypatch):
    from licenseusage.cli import version

    def fail(_env):
        raise RuntimeError("boom\nbang")

    monkeypatch.setattr(version, "clock_from", fail)
    done = run("version")
    assert done.code == 3
    assert done.err == (
        "error: Unexpected: RuntimeError: boom bang (set LICENSEUSAGE_DEBUG=1 to see where)\n"
    )


def test_as_a_process_of_its_own(run_process):
    done = run_process("version", LICENSEUSAGE_DEV_CLOCK_OFFSET_SECONDS="-5")
    assert (done.code, done.out) == (3, "")
    assert done.err.startswith("error: SettingsInvalid: ")


def test_a_reader_that_goes_away_is_no_traceback():
    command = f"{sys.executable} -c 'from licenseusage.cli import main; main()' --help | head -c 1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr


def test_version_as_json(run):
    from licenseusage import __version__

    shown = json.loads(run("version", "--output", "json").out)
    assert (shown["version"], shown["simulatedClock"]) == (__version__, False)


def test_a_shifted_clock_is_said(run):
    done = run("version", LICENSEUSAGE_DEV="1", LICENSEUSAGE_DEV_CLOCK_OFFSET_SECONDS="-86400")
    assert "(simulated clock)" in done.out


def test_a_wrong_setting_is_one_line_and_undetermined(run):
    done = run("version", LICENSEUSAGE_DEV_CLOCK_OFFSET_SECONDS="-5")
    assert done.code == 3
    assert done.err.startswith("error: SettingsInvalid: ")
    assert done.err.count("\n") == 1


@pytest.mark.parametrize(
    "command",
    [
        ["vendor"],
        ["vendor", "keygen"],
        ["license"],
        ["license", "issue"],
        ["license", "show"],
        ["license", "verify"],
        ["report"],
        ["report", "show"],
        ["report", "verify"],
        ["version"],
    ],
    ids=" ".join,
)
def test_every_command_has_help(run, command):
    done = run(*command, "--help")
    assert done.code == 0
    if len(command) > 1:
        assert "Example" in done.out
        assert "licenseusage " in done.out


def test_examples_keep_their_lines(run):
    out = run("license", "show", "--help").out
    assert "\n      licenseusage license show license.jwt\n" in out


def test_an_example_of_several_lines_can_be_pasted(run):
    out = run("report", "verify", "--help").out
    assert "--vendor-keys jwks.json \\\n          --enrolment enrolment.jwt\n" in out
