"""docs/metrics.md is what the code exposes."""

from hack.metrics.__main__ import PAGE
from hack.metrics.page import page
from licenseusage.controller.rules.metricbook import BOOK, LABELS

OF_SCRAPERS = {
    *("namespace", "pod", "container", "service", "endpoint", "job", "instance", "node", "cluster"),
}
"""What the Prometheus Operator and common scrape configurations set themselves."""


def test_the_committed_page_is_the_generated_one():
    assert page(BOOK, LABELS) == PAGE.read_text("utf-8"), "run: make generate"


def test_every_label_is_explained_and_no_other():
    assert {label for family in BOOK for label in family.labels} == set(LABELS)


def test_no_label_collides_with_one_of_a_scraper():
    assert not OF_SCRAPERS & set(LABELS)
