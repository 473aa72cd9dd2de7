"""A ledger with real pseudonyms, and the LicenseUsage that it was counted for."""

from dataclasses import replace

from licenseusage.controller.rules.declared import declared, stores
from licenseusage.controller.settings import from_mapping
from licenseusage.metering.pseudonym import key_id
from tests.cli.looked import seen
from tests.ledger import book
from tests.ledger.conftest import END, HOUR_MS, poll

KEY = b"k" * 32
NOW = END + HOUR_MS


def source(**more):
    return {
        "name": "graph",
        "preset": "Standard",
        "auth": {"header": {"secretRef": {"name": "token", "key": "token"}}},
        "pods": {"selector": {"matchLabels": {"app": "x"}}, "port": "http"},
        **more,
    }


def looked(of="opencloud", **source_):
    return replace(seen(of, sources=[source(**source_)]), key_id=key_id(KEY))


def store_of(looked):
    sources = declared(looked.usage, lambda error, _: (_ for _ in ()).throw(error), {})
    return stores(sources, looked.key_id)["graph"]


def settings_of(path, **more):
    return from_mapping({"LICENSEUSAGE_DATABASE_URL": f"sqlite:///{path}", **more})


def record(path, looked, at_ms, active, **more):
    with book.opened(path) as ledger:
        if not ledger.meters():
            book.begin(ledger)
        polled = poll(at_ms, active, store=store_of(looked), **more)
        found = replace(polled, pseudonym_key_id=looked.key_id, rules_digest=book.RULES)
        ledger.record_poll(found, at_ms)
