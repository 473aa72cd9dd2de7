"""Statements as JSON text in the ledger, and back."""

import json
from typing import Any

from licenseusage.metering.bounds import Bounds
from licenseusage.metering.coverage import Coverage, Gap
from licenseusage.metering.crosscheck import CrossCheck
from licenseusage.metering.cycles import Cycle
from licenseusage.metering.statement import CycleStatement, Uncertainty


def dump_statement(statement: CycleStatement) -> str:
    """Return the statement as JSON text; the same statement always gives the same text."""
    bounds, seen = statement.bounds, statement.coverage
    document = {
        "cycle": [statement.cycle.index, statement.cycle.start_ms, statement.cycle.end_ms],
        "asOfMs": statement.as_of_ms,
        "bounds": [bounds.lower, bounds.upper, bounds.estimate, bounds.conflict],
        "daily": list(statement.daily),
        "coverage": {
            "observedSeconds": seen.observed_seconds,
            "gaps": [[gap.start_s, gap.end_s, gap.reason] for gap in seen.gaps],
            "merged": seen.merged,
        },
        "uncertainty": [[why.reason, why.users] for why in statement.uncertainty],
        "unbounded": list(statement.unbounded),
        "refuted": list(statement.refuted),
        "boundaryGapMs": statement.boundary_gap_ms,
        "provisioned": statement.provisioned,
        "assumptions": list(statement.assumptions),
    }
    if statement.beside:
        document["beside"] = [[each.words, each.proved] for each in statement.beside]
    return json.dumps(document, sort_keys=True, separators=(",", ":"))


def load_statement(text: str) -> CycleStatement:
    """Return the statement that ``dump_statement`` wrote."""
    document: dict[str, Any] = json.loads(text)
    lower, upper, estimate, conflict = document["bounds"]
    seen, gap = document["coverage"], document["boundaryGapMs"]
    return CycleStatement(
        cycle=Cycle(*document["cycle"]),
        as_of_ms=document["asOfMs"],
        bounds=Bounds(lower, upper, estimate, conflict),
        daily=tuple(document["daily"]),
        coverage=Coverage(
            seen["observedSeconds"], tuple(Gap(*each) for each in seen["gaps"]), seen["merged"]
        ),
        uncertainty=tuple(Uncertainty(*each) for each in document["uncertainty"]),
        unbounded=tuple(document["unbounded"]),
        refuted=tuple(document["refuted"]),
        boundary_gap_ms=(gap[0], gap[1]) if gap else None,
        provisioned=document["provisioned"],
        assumptions=tuple(document["assumptions"]),
        beside=tuple(CrossCheck(*each) for each in document.get("beside", ())),
    )
