"""What ordinary months may rely on, whatever the shares are."""

from collections.abc import Iterator, Sequence

from licenseusage.metering.bounds import Accuracy
from trials.months.run import Final
from trials.months.scenario import OUTAGES, Scenario


def broken(scenario: Scenario, finals: Sequence[Final]) -> Iterator[str]:
    """Yield what does not hold of the finals of one installation.

    An account erased although ``Never`` is declared takes no number away; a product that is away
    for two hours every night, or a user moved into an excluded group, takes no upper bound away.
    """
    name = ", ".join(scenario.words)
    unknown = sum(final.accuracy is Accuracy.UNKNOWN for final in finals)
    if unknown:
        yield f"{name}: {unknown} of {len(finals)} months are Unknown"
    nightly = scenario.outage in OUTAGES[:3]
    unbounded = sum(final.upper is None for final in finals)
    if unbounded and nightly:
        yield f"{name}: {unbounded} of {len(finals)} months have no upper bound"
