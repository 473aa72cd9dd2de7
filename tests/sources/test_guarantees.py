"""What a product promises is written alike in the CRD, in the digest of the rules and in code."""

from typing import get_args

import pytest

from licenseusage.api import guarantees as written
from licenseusage.metering.properties import Removal
from licenseusage.sources.definition.guarantees import IdReuse, Ids, InitialValue, Order
from tests.sources.product import source


@pytest.mark.parametrize(
    ("texts", "values"),
    [
        (written.Removal, Removal),
        (written.Ids, Ids),
        (written.IdReuse, IdReuse),
        (written.InitialValue, InitialValue),
        (written.Order, Order),
    ],
)
def test_each_text_of_the_crd_has_its_value(texts, values):
    assert get_args(texts) == tuple(values)


def test_the_digest_of_the_rules_stays_as_it_is():
    """Signed reports and ledgers hold it: another one says that the rules have changed."""
    given = {"removal": "Never", "ids": "Stable", "idReuse": "Possible", "order": "KeyCursor"}
    assert source(guarantees=given).digest().hex() == (
        "366cc4b0f3daea3a90e59332e083b8ea0845d09e91c0605802468732770422c2"
    )
