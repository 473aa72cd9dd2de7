"""Requests that schemathesis derives from the OpenAPI document: answers are as documented."""

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from licenseusage.receiver.access import PagesAccess
from licenseusage.receiver.app import create_app
from licenseusage.receiver.store import ReceiverDatabase
from tests.receiver.people import (
    RECEIPT_KEY,
    VENDOR_KEYS,
    Customer,
    FixedClock,
    Receiver,
    error_of,
    jti,
)

FUZZING = settings(
    max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), database=None
)
# A document that fits the schema is refused all the same unless it is signed, which no schema says;
# and the other one does not know that 413 is a refusal.
LEFT_OUT = [positive_data_acceptance, negative_data_rejection]


@pytest.fixture(scope="module")
def application(tmp_path_factory):
    store = ReceiverDatabase.open(
        f"sqlite:///{tmp_path_factory.mktemp('fuzz') / 'receiver.sqlite'}"
    )
    yield create_app(
        store=store,
        vendor_keys=VENDOR_KEYS,
        receipt_key=RECEIPT_KEY,
        clock=FixedClock(),
        access=PagesAccess(password="secret"),
    )
    store.close()


PUTS = [
    ("PUT", "/v1/keys/{jti}"),
    ("PUT", "/v1/reports/{jti}"),
    ("PUT", "/v1/licenses/{license_id}"),
]
FILES = [("POST", "/v1/bundles"), ("POST", "/v1/history")]
OPERATIONS = [*PUTS, *FILES, ("GET", "/v1/problems/{error}"), ("GET", "/healthz")]


@pytest.fixture(scope="module")
def api(application):
    return schemathesis.openapi.from_asgi("/openapi.json", application)


def test_every_operation_is_fuzzed(api):
    assert {
        (operation.ok().method.upper(), operation.ok().path)
        for operation in api.get_all_operations()
    } == set(OPERATIONS)


@schemathesis.serializer("application/jose")
def as_it_is(_context, value):
    """A token is its own serialisation; what is no string is sent as something else is spelt."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")


def answered_as_documented(operation, mode, data):
    case = data.draw(operation.as_strategy(generation_mode=mode))
    return case.call_and_validate(excluded_checks=LEFT_OUT)


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
@given(data=st.data())
@FUZZING
def test_request_that_fits_the_schema_is_answered_as_documented(api, method, path, data):
    answered_as_documented(api[path][method], GenerationMode.POSITIVE, data)


@pytest.mark.parametrize(
    ("method", "path"), [*PUTS, *FILES]
)  # no other takes anything to get wrong
@given(data=st.data())
@FUZZING
def test_request_that_does_not_fit_the_schema_is_refused_as_documented(api, method, path, data):
    answer = answered_as_documented(api[path][method], GenerationMode.NEGATIVE, data)
    assert 400 <= answer.status_code < 500


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    """A receiver that holds a chain, and its documents: material to damage."""
    path = tmp_path_factory.mktemp("damage") / "receiver.sqlite"
    receiver, customer = Receiver(f"sqlite:///{path}", FixedClock()), Customer()
    receiver.put_key(customer.enrolment)
    tokens = customer.chain(2)
    receiver.put_report(tokens[0])
    yield receiver, [customer.enrolment, tokens[1], customer.rotate("second key")]
    receiver.close()


@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_damaged_document_is_refused_and_never_stored(known, data):
    receiver, tokens = known
    number = data.draw(st.integers(0, len(tokens) - 1), label="document")
    token = tokens[number]
    position = data.draw(st.integers(0, len(token) - 1), label="position")
    insert = data.draw(st.sampled_from(["", "A", "_", ".", "=", "\n", "\x00"]), label="instead")
    damaged = token[:position] + insert + token[position + data.draw(st.integers(0, 3)) :]
    if damaged == token:
        return
    what = "reports" if number == 1 else "keys"
    answer = receiver.put(what, jti(token), damaged)
    assert answer.status_code in (400, 401, 413), (damaged, answer.text)
    error_of(answer)
