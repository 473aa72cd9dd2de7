"""Pseudonyms: comparable within a cycle, unlinkable without the key and across cycles."""

import hashlib
import hmac
import re

from licenseusage.metering.pseudonym import Pseudonymiser, identity_domain, key_id

KEY = bytes(range(32))


def test_a_pseudonym_is_the_start_of_a_keyed_hash_of_product_cycle_and_id():
    message = b"opencloud\x001793491200\x00ada@example.org"
    expected = hmac.new(KEY, message, hashlib.sha256).digest()[:16]
    assert Pseudonymiser(KEY, "opencloud", 1_793_491_200)("ada@example.org") == expected


def test_key_product_and_cycle_each_give_other_pseudonyms():
    pseudonyms = {
        Pseudonymiser(key, product, start)("ada")
        for key in (KEY, bytes(32))
        for product in ("opencloud", "other")
        for start in (0, 86_400)
    }
    assert len(pseudonyms) == 8


def test_ids_are_text_of_any_script():
    hashed = Pseudonymiser(KEY, "p", 0)
    assert hashed("Zoë") == hmac.new(KEY, "p\x000\x00Zoë".encode(), "sha256").digest()[:16]
    assert len(hashed("\ud800")) == 16  # a lone surrogate is an id too


def test_the_key_id_is_public_and_fixed():
    expected = hmac.new(KEY, b"usage-pseudonym-key-id-v1", "sha256").hexdigest()[:32]
    assert key_id(KEY) == expected


def test_whatever_changes_the_ids_changes_the_domain():
    usual = ("product", {"graph": "id", "log": "userid"}, "Trim", "key")
    changed = [
        ("other", {"graph": "id", "log": "userid"}, "Trim", "key"),
        ("product", {"graph": "mail", "log": "userid"}, "Trim", "key"),
        ("product", {"graph": "id"}, "Trim", "key"),
        ("product", {"graph": "id", "log": "userid"}, "Trim,Lowercase", "key"),
        ("product", {"graph": "id", "log": "userid"}, "Trim", "other"),
    ]
    assert len({identity_domain(*parts) for parts in [usual, *changed]}) == 6
    reordered = ("product", {"log": "userid", "graph": "id"}, "Trim", "key")
    assert identity_domain(*usual) == identity_domain(*reordered)
    assert re.fullmatch("[0-9a-f]{16}", identity_domain(*usual))
