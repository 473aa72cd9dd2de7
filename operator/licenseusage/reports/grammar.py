"""The types of claims (REPORT_FORMAT §2) and tables made of them (layer 2 of §12).

A check takes a value and the path of its claim, and raises ``Refused``; a table is checked member
by member. Unknown members are ignored in version 1, so that later writers may add some (§13).
"""

import re
from collections.abc import Callable, Mapping
from datetime import date

from licenseusage.reasons import Reason
from licenseusage.reports.refused import Refused, need
from licenseusage.reports.typs import THUMBPRINT_URI

Check = Callable[[object, str], None]
Table = Mapping[str, Check]

MAX_COUNT = 10**9
TIME_MIN, TIME_MAX = 946684800, 7258118400  # 2000-01-01 and 2200-01-01, UTC
MAX_SEQUENCE = 2**31 - 1


def check_table(table: Table, value: Mapping[str, object], path: str = "") -> None:
    """Check the members of one object; a name that ends in ``?`` may be absent.

    Raises:
        Refused: ``ClaimMissing`` or ``ClaimInvalid``, with the path of the claim.
    """
    for name, check in table.items():
        member = name.removesuffix("?")
        here = f"{path}.{member}" if path else member
        if member in value:
            check(value[member], here)
        else:
            need(name.endswith("?"), Reason.CLAIM_MISSING, here)


def members(table: Table) -> Check:
    """Check an object by a table of its own."""

    def check(value: object, path: str) -> None:
        if not isinstance(value, dict):
            raise Refused(Reason.CLAIM_INVALID, f"{path}: an object")
        check_table(table, value, path)

    return check


def integer(low: int, high: int) -> Check:
    """Check an integer, both ends included; ``True`` is not one."""
    return lambda value, path: _valid(
        type(value) is int and low <= value <= high, f"{path}: an integer from {low} to {high}"
    )


def pattern(regex: str, longest: int = 253, *, words: str = "") -> Check:
    """Check a string against a regular expression that must fit as a whole.

    Args:
        regex: The expression.
        longest: Most characters.
        words: What fits, for people.
    """
    compiled = re.compile(regex)
    return lambda value, path: _valid(
        isinstance(value, str) and len(value) <= longest and compiled.fullmatch(value),
        f"{path}: {words}" if words else path,
    )


def text(longest: int) -> Check:
    """Check a Text: no control, line or bidirectional character, which could forge log lines."""
    unprintable = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
    return lambda value, path: _valid(
        isinstance(value, str) and 0 < len(value) <= longest and not unprintable.search(value),
        f"{path}: 1 to {longest} printable characters",
    )


def one_of(*names: str) -> Check:
    """Check a closed enumeration."""
    return lambda value, path: _valid(
        isinstance(value, str) and value in names, f"{path}: one of {', '.join(names)}"
    )


def nullable(inner: Check) -> Check:
    """Allow null, which means "not known"."""

    def check(value: object, path: str) -> None:
        if value is not None:
            inner(value, path)

    return check


def array(inner: Check, longest: int, *, distinct: bool = False) -> Check:
    """Check a list of at most ``longest`` items, each by ``inner``."""

    def check(value: object, path: str) -> None:
        if not isinstance(value, list) or len(value) > longest:
            raise Refused(Reason.CLAIM_INVALID, f"{path}: a list of at most {longest}")
        for number, item in enumerate(value):
            inner(item, f"{path}[{number}]")
        if distinct:
            _valid(len(set(value)) == len(value), f"{path}: no item twice")

    return check


def counts_by_token(longest: int) -> Check:
    """Check an object of at most ``longest`` members, Token to Count."""

    def check(value: object, path: str) -> None:
        if not isinstance(value, dict) or len(value) > longest:
            raise Refused(Reason.CLAIM_INVALID, f"{path}: an object of at most {longest} members")
        for name, count in value.items():
            TOKEN(name, path)
            COUNT(count, path)

    return check


def boolean(value: object, path: str) -> None:
    """Check true or false."""
    _valid(type(value) is bool, path)


def calendar_date(value: object, path: str) -> None:
    """Check ``YYYY-MM-DD``, a day that exists, in the years 2000 to 2199."""
    ok = isinstance(value, str) and re.fullmatch(r"2[01][0-9]{2}-[0-9]{2}-[0-9]{2}", value)
    _valid(ok, f"{path}: a day as YYYY-MM-DD")
    try:
        date.fromisoformat(str(value))
    except ValueError:
        _valid(False, f"{path}: no such day")


def _valid(ok: object, detail: str) -> None:
    need(ok, Reason.CLAIM_INVALID, detail)


COUNT = integer(0, MAX_COUNT)
TIME = integer(TIME_MIN, TIME_MAX)
SEQUENCE = integer(1, MAX_SEQUENCE)
TOKEN = pattern("[A-Z][A-Za-z0-9]{0,63}")
DIGEST = pattern("sha256:[0-9a-f]{64}")
HEX32 = pattern("[0-9a-f]{32}")
NAME = pattern(
    "[A-Za-z0-9][A-Za-z0-9._:/-]*",
    128,
    words="letters, digits and . _ : / - only (no space), a letter or digit first, at most 128",
)
JTI = pattern("[0-9a-f]{32}-[0-9]{10}")
THUMBPRINT = pattern("[A-Za-z0-9_-]{43}", words="a thumbprint: 43 letters, digits, - and _")
INSTALLATION = pattern(re.escape(THUMBPRINT_URI) + "[A-Za-z0-9_-]{43}")
_LABEL = "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
DNS_LABEL = pattern(_LABEL, 63)
DNS_SUBDOMAIN = pattern(rf"{_LABEL}(\.{_LABEL})*")
PURPOSE = one_of("Production", "NonProduction", "Standby")
LINK = members({"sequence": SEQUENCE, "digest": DIGEST})
KEY_CHAIN: Table = {"id": HEX32, "sequence": SEQUENCE, "previous": nullable(DIGEST)}
BASE: Table = {"iss": INSTALLATION, "sub": NAME, "aud": NAME, "jti": JTI, "iat": TIME}
"""The claims with which every document of an installation begins."""


def is_token(value: object) -> bool:
    """Whether ``value`` is a Token, hence safe as a condition's reason and in a log line."""
    return isinstance(value, str) and re.fullmatch("[A-Z][A-Za-z0-9]{0,63}", value) is not None
