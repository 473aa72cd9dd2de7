"""Logs are JSON lines, and an exception shows where it passed, never what was read."""

import io
import json
import logging
import sys

import pytest
import structlog

from licenseusage.controller.process.logs import configure
from licenseusage.controller.rules.key import Key
from licenseusage.controller.rules.trace import trace_of
from licenseusage.metering.cycles import DAY_MS, Cycle


@pytest.fixture
def lines(monkeypatch):
    out = io.StringIO()
    monkeypatch.setattr(sys, "stderr", out)
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    configure("info")
    yield lambda: [json.loads(line) for line in out.getvalue().splitlines()]
    root.handlers[:] = before
    root.setLevel(level)
    structlog.reset_defaults()


def test_a_line_holds_its_fields_and_no_more(lines):
    structlog.get_logger("x").info("poll ended", object="shop/a", seconds=1.5)
    (line,) = lines()
    assert (line["message"], line["object"], line["level"]) == ("poll ended", "shop/a", "info")


def test_an_exception_shows_type_and_places_but_neither_text_nor_variables(lines):
    try:
        secret_of_ann = "ann@example.org"
        {}[secret_of_ann]
    except KeyError:
        structlog.get_logger("x").exception("reconcile failed", object="shop/a")
        logging.getLogger("kopf").exception("from a library")
    for line in lines():
        assert line["exception"] == "KeyError"
        assert any("test_logs.py" in frame for frame in line["frames"])
        assert "ann@example.org" not in json.dumps(line)


def test_an_id_names_the_object_and_the_first_day_of_its_cycle():
    november, december = (Cycle(n, n * 30 * DAY_MS, (n + 1) * 30 * DAY_MS) for n in (0, 1))
    key = Key("shop", "wiki")
    assert trace_of(key, december) == "shop/wiki@1970-01-31"
    assert trace_of(key, november, december) == "shop/wiki@1970-01-01 shop/wiki@1970-01-31"
    assert trace_of(key, None) is None
    assert trace_of(key) is None
