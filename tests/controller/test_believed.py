"""What only a person could mend is believed the second time, where the source has worked."""

import pytest

from licenseusage.controller.rules.polls import believed
from licenseusage.errors import Consequence, Failure
from licenseusage.reasons import Reason

REFUSED = Failure(Reason.UNAUTHORIZED, "refused", Consequence.NEEDS_A_PERSON)
FIRST = Failure(Reason.UNAUTHORIZED, "refused", Consequence.RETRIES)
SLOW = Failure(Reason.POLL_TIMEOUT, "slow")


@pytest.mark.parametrize(
    ("failure", "before", "proven", "expected"),
    [
        (None, REFUSED, True, None),
        (SLOW, None, True, SLOW),
        (SLOW, SLOW, False, SLOW),
        (REFUSED, None, True, FIRST),
        (REFUSED, SLOW, True, FIRST),
        (REFUSED, FIRST, True, REFUSED),
        (REFUSED, REFUSED, True, REFUSED),
        (REFUSED, None, False, REFUSED),
    ],
)
def test_a_refusal_is_believed_the_second_time_or_where_nothing_ever_worked(
    failure, before, proven, expected
):
    assert believed(failure, before, proven=proven) == expected
