"""Reports with anything that the format allows, names and texts hostile to the forms of a page."""

from hypothesis import strategies as st

from licenseusage.reports.content import (
    Content,
    Gap,
    Kind,
    OperatorInfo,
    ReportClock,
    ReportCoverage,
    ReportCycle,
    ReportRules,
    Uncertainty,
)
from licenseusage.reports.names import digest
from tests.statement.bookkeeping import ANCHOR, DAY

HOSTILE = [
    "<script>alert(1)</script>",
    "</style><img src=x onerror=alert(1)>",
    '" onload="alert(1)',
    "{{ 7 * 7 }}{% raw %}",
    "=HYPERLINK('http://evil.example','pay')",
    " +1+1",
    "@SUM(A1)",
    "-2+3|cmd",
    "\uff1d1+1",
    "a,b;c\"d'e",
    "&amp; ]]> --> &lt;",
]
texts = st.one_of(
    st.sampled_from(HOSTILE),
    st.text(st.characters(min_codepoint=32, exclude_categories=("C", "Zl", "Zp")), min_size=1),
)
counts = st.one_of(st.integers(0, 9), st.integers(0, 10**9))
tokens = st.sampled_from(["NoPoll", "RemovedUsers", "BoundaryGap", "MoonPhase2031", "NeverActive"])


@st.composite
def bounds(draw):
    """Accuracy with its two numbers."""
    low, more = draw(counts), draw(st.integers(1, 10**6))
    return draw(
        st.sampled_from(
            [
                ("Exact", low, low),
                ("Bounded", low, min(low + more, 10**9) if low < 10**9 else low),
                ("LowerBound", low, None),
                ("UpperBound", None, low),
                ("Estimate", low, None),
                ("Unknown", None, None),
            ]
        ).filter(lambda made: made[0] != "Bounded" or made[1] != made[2])
    )


@st.composite
def coverages(draw, start, as_of):
    """Gaps within a cycle, and what they leave."""
    edges = sorted(draw(st.sets(st.integers(start, as_of), max_size=8)))
    gaps = tuple(
        Gap(first, last, draw(tokens)) for first, last in zip(edges[::2], edges[1::2], strict=False)
    )
    missing = sum(gap.end_s - gap.start_s for gap in gaps)
    return ReportCoverage(as_of - start - missing, gaps, draw(st.booleans()))


@st.composite
def contents(draw, index=0):
    """The content of a final or an interim of the cycle of this number."""
    kind = draw(st.sampled_from([Kind.FINAL, Kind.INTERIM]))
    start = ANCHOR + index * 30 * DAY
    elapsed = 30 * DAY if kind is Kind.FINAL else draw(st.integers(0, 30 * DAY - 1))
    accuracy, low, high = draw(bounds())
    highest = 10**9 if low is None or accuracy == "Estimate" else low
    day = st.none() | st.integers(0, highest)
    length = -(-elapsed // DAY)
    return Content(
        kind=kind,
        product="acme",
        license_id=draw(st.sampled_from(["lic-1", "lic-2"])),
        cycle=ReportCycle(index, start, start + 30 * DAY, start + elapsed),
        active_users=low,
        active_users_upper_bound=high,
        accuracy=accuracy,
        coverage=draw(coverages(start, start + elapsed)),
        rules=ReportRules(
            draw(texts),
            digest("rules"),
            draw(st.integers(0, 3)),
            draw(st.dictionaries(tokens, counts, max_size=4)),
            tuple(draw(st.sets(tokens, max_size=3))),
        ),
        clock=ReportClock(start + elapsed),
        operator=OperatorInfo("1.0.0"),
        provisioned_users=draw(st.none() | counts),
        daily_active_users=draw(
            st.none() | st.lists(day, min_size=length, max_size=length).map(tuple)
        ),
        uncertainty=tuple(
            Uncertainty(draw(tokens), draw(counts)) for _ in range(draw(st.integers(0, 2)))
        ),
        purpose=draw(st.sampled_from([None, "Production", "Standby"])),
    )
