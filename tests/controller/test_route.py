"""What delivery depends on, as one digest: a change of it re-sends (REPORT_FORMAT §10)."""

from licenseusage.controller.rules.route import route_digest


def test_a_digest_tells_every_part_and_its_place_apart():
    parts = [("licence", "key"), (None, "ca"), ("", "ca"), ("ca", None), ()]
    digests = {route_digest(part, ("1.0",)) for part in parts}
    digests |= {route_digest(("1.0",), part) for part in parts}
    assert len(digests) == 2 * len(parts)
    assert all(len(digest) == 64 for digest in digests)


def test_a_digest_is_the_same_after_a_restart():
    known = "460cc6c680bb66302d4efd7a00f8a5e57103c6c28c8a53e44c02e634737e4192"
    assert route_digest(("licence", None), ("1.0",)) == known
