"""Which variables `make demo` takes, and what it answers to others."""

import pytest

from hack.demo.__main__ import main
from hack.demo.way import Way, WrongVariable


@pytest.mark.parametrize(
    ("variables", "way"),
    [
        ({}, Way.ONLINE),
        ({"MODE": "", "LICENSE": ""}, Way.ONLINE),
        ({"MODE": "online"}, Way.ONLINE),
        ({"MODE": "export"}, Way.EXPORT),
        ({"LICENSE": "none"}, Way.NOWHERE),
    ],
)
def test_a_variable_chooses_the_way(variables: dict[str, str], way: Way) -> None:
    assert Way.chosen(variables) is way


@pytest.mark.parametrize(
    ("variables", "answer"),
    [
        ({"MODE": "offline"}, "MODE='offline' is not known.*MODE=export"),
        ({"MODE": "Export"}, "MODE='Export' is not known"),
        ({"MODE": "nowhere"}, "MODE='nowhere' is not known"),
        ({"LICENSE": "some"}, "LICENSE='some' is not known.*LICENSE=none"),
        ({"MODE": "export", "LICENSE": "none"}, "MODE=export and LICENSE=none contradict"),
    ],
)
def test_another_value_is_answered_with_those_that_exist(
    variables: dict[str, str], answer: str
) -> None:
    with pytest.raises(WrongVariable, match=answer):
        Way.chosen(variables)


def test_a_wrong_variable_ends_the_demo_before_anything_is_started(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MODE", "offline")
    assert main() == 2
    assert capsys.readouterr().out.startswith("MODE='offline' is not known")
