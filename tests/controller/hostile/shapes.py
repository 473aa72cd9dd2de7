"""Objects of an odd shape: numbers out of range, days that are none, members too many."""

from tests.controller.hostile.case import AUTHORS, Case, Counts, Ends, Refused

_ONE = {
    "pods": AUTHORS,
    "http": {"path": "/users", "items": "users"},
    "users": {"id": "id", "lastActive": {"path": "lastActive"}},
}


def cycle(**more):
    return {"cycle": {"anchorDate": "2026-01-15", "lengthDays": 30, **more}}


def sources(*names: str, **more):
    return {"sources": [{"name": name, **_ONE, **more} for name in names]}


CASES = [
    Case(
        "a product with a line break",
        Refused("must begin with a letter"),
        spec={"product": "shop\nlevel=error"},
    ),
    Case("a product with a NUL", Refused("must begin with a letter"), spec={"product": "a\0b"}),
    Case(
        "a product of a mebibyte",
        Refused("may not be more than 128"),
        spec={"product": "x" * 2**20},
    ),
    Case("a name that no report can bear", Refused("may have 40"), meta={"name": "n" * 253}),
    Case("a cycle of the year 0", Refused("anchorDate"), spec=cycle(anchorDate="0000-01-01")),
    Case("a cycle of the year 9999", Refused("2000 to 2199"), spec=cycle(anchorDate="9999-12-31")),
    Case("a day that is none", Refused("anchorDate"), spec=cycle(anchorDate="2026-02-30")),
    Case("a day that is a word", Refused("anchorDate"), spec=cycle(anchorDate="yesterday")),
    Case(
        "a cycle that has not begun",
        Ends("NotCollectedYet", "Ready"),
        spec=cycle(anchorDate="2199-01-01"),
    ),
    Case("a cycle of no days", Refused("lengthDays"), spec=cycle(lengthDays=0)),
    Case(
        "a cycle of 400 digits", Refused("cannot unmarshal number"), spec=cycle(lengthDays=10**400)
    ),
    Case("a cycle of half a day", Refused("lengthDays"), spec=cycle(lengthDays=0.5)),
    Case(
        "a cycle of two lengths", Refused("exactly one of lengthDays"), spec=cycle(lengthMonths=1)
    ),
    Case(
        "a cycle from each 31st",
        Refused("1 to 28"),
        spec={"cycle": {"anchorDate": "2026-01-31", "lengthMonths": 1}},
    ),
    Case(
        "no cycle at all",
        Refused("neither license nor cycle"),
        spec={"cycle": None, "sources": [{"name": "list", **_ONE}]},
    ),
    Case(
        "a maximum beyond 64 bits",
        Refused("maximumActiveUsers"),
        spec={"maximumActiveUsers": 2**63},
    ),
    Case("a maximum below nothing", Refused("maximumActiveUsers"), spec={"maximumActiveUsers": -1}),
    Case("a grace of no time", Refused("closeGraceHours"), spec={"closeGraceHours": 0}),
    Case(
        "a grace longer than the cycle",
        Refused("longer than the cycle"),
        spec={**cycle(lengthDays=1), "closeGraceHours": 25},
    ),
    Case("polls without a pause", Refused("intervalMinutes"), {"intervalMinutes": 0}),
    Case(
        "polls that never close a cycle",
        Refused("closeGraceHours is shorter"),
        {"intervalMinutes": 1440},
    ),
    Case("a lag of a year", Refused("lagSeconds"), {"guarantees": {"lagSeconds": 31_536_000}}),
    Case("no source", Refused("sources"), spec={"sources": []}),
    Case("nine sources", Refused("sources"), spec=sources(*(f"s{n}" for n in range(9)))),
    Case("two sources of one name", Refused("Duplicate value"), spec=sources("list", "list")),
    Case("eight sources of one list", Counts(1), spec=sources(*(f"s{n}" for n in range(8)))),
    Case("two ways to be read", Refused("has two of http"), {"jetstream": {"stream": "X"}}),
    Case(
        "the same people by different names",
        Refused("sources of one identity"),
        spec={
            "combine": "Same",
            "sources": [{"name": "a", **_ONE}, {"name": "b", **_ONE, "identity": "mail"}],
        },
    ),
    Case("a source's name of 64 letters", Refused("may not be more than 63"), {"name": "n" * 64}),
    Case(
        "257 ids that are nobody",
        Refused("excludeIds"),
        {"users": {**_ONE["users"], "excludeIds": [f"id-{n}" for n in range(257)]}},
    ),
    Case(
        "a status of one's own",
        Counts(1),
        rest={"status": {"activeUsers": 1_000_000, "activeText": "everybody"}},
    ),
    Case(
        "a definition that turns the text around",
        Counts(1),
        {"activityDefinition": "\u202esign-in\u2066 \ufeff\U0001f600" * 8},
    ),
    Case(
        "a request of 200 KB for a collection",
        Counts(1),
        meta={"annotations": {"licenseusage.dev/requested-at": "x" * 200_000}},
    ),
    Case(
        "an owner that is none",
        Counts(1),
        meta={
            "labels": {"licenseusage.dev/credentials": "true"},
            "finalizers": ["example.org/never"],
        },
    ),
]
