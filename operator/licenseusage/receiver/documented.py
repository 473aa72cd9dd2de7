"""The answers of the endpoint as OpenAPI shows them: every status, its body and its headers."""

from typing import Any

from licenseusage.receiver import problems
from licenseusage.receiver.answers import BundleAnswer
from licenseusage.receiver.problems import Problem, SignedProblem
from licenseusage.receiver.requestbody import MEDIA_TYPE, TEXT
from licenseusage.reports.bundle import MAX_CHARACTERS_IN_FILE

YAML = "application/yaml"
"""RFC 9512."""
TOKEN_PATTERN = r"^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$"  # noqa: S105 - no secret
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._:/-]*$"
JTI_PATTERN = "^[0-9a-f]{32}-[0-9]{10}$"

_CACHE = {
    "Cache-Control": {
        "description": "Always `no-store`.",
        "required": True,
        "schema": {"type": "string", "enum": ["no-store"]},
    }
}
_RETRY = {
    "Retry-After": {
        "description": "Seconds to wait at least before the document is sent again.",
        "required": True,
        "schema": {"type": "integer", "minimum": 1, "maximum": 86400},
    }
}


def token_body(limit: int, what: str) -> dict[str, Any]:
    """Return the request body of a PUT: one token of at most ``limit`` characters."""
    return {
        "requestBody": {
            "required": True,
            "description": what,
            "content": {MEDIA_TYPE: {"schema": _token_schema(limit)}},
        }
    }


def receipt(description: str) -> dict[str, Any]:
    """Return a success: a receipt."""
    return {
        "description": description,
        "headers": _CACHE,
        "content": {MEDIA_TYPE: {"schema": _token_schema(8192)}},
    }


def problem(description: str, *, signed: bool = False, retry: bool = False) -> dict[str, Any]:
    """Return a failure: a problem, with a receipt in it if it is ``signed``."""
    model = SignedProblem if signed else Problem
    return {
        "description": description,
        "headers": _CACHE | (_RETRY if retry else {}),
        "content": {
            problems.MEDIA_TYPE: {"schema": {"$ref": f"#/components/schemas/{model.__name__}"}}
        },
    }


def put_responses(conflict: str, *, rejected: str | None) -> dict[int | str, dict[str, Any]]:
    """Return the answers of a PUT (REPORT_FORMAT §9); ``rejected`` None: it never answers 422."""
    answers = {
        200: receipt("These very octets were stored before: the receipt they got then."),
        201: receipt("Stored now: its receipt, `Accepted`."),
        400: problem("It cannot be authenticated (layers 1-2): nothing was stored."),
        401: problem("`KeyUnknown`: send the key statements first. Nothing was stored."),
        403: problem(
            "Authentic, but not for this vendor or subscription, or not authorised now: "
            "`LicenseMismatch`, `LicenseKeyMismatch`, `LicenseExpired`, `IssuerMismatch`, "
            "`AudienceMismatch`, …. Nothing was stored."
        ),
        408: problem("The body did not arrive in time. Nothing was stored."),
        409: problem(conflict, signed=True),
        413: problem("`TooLarge`. Nothing was stored."),
        415: problem("The body is not `application/jose`. Nothing was stored."),
        429: problem(
            "`TooManyConflicts`: it contradicts what is held, and of this installation enough of "
            "that is kept. Nothing was stored.",
            retry=True,
        ),
        503: problem("It could not be stored or its receipt not signed: nothing was.", retry=True),
    }
    if rejected is not None:
        answers[422] = problem(rejected, signed=True)
    return dict(sorted(answers.items()))


def register_responses() -> dict[int | str, dict[str, Any]]:
    """Return the answers of the register of licences: nothing is signed for a licence."""
    answers = put_responses("", rejected=None)
    del answers[409], answers[429]
    stored = {"description": "It was known before.", "headers": _CACHE}
    return answers | {
        200: stored,
        201: stored | {"description": "Registered now."},
        401: problem("`KeyUnknown`: no key of this vendor signed it. Nothing was stored."),
        403: problem(
            "Signed by this vendor, and not a licence it may have meant: `KeyNotPermitted`, "
            "`LicenseTermsChanged`, `IssuedInFuture`, …. Nothing was stored."
        ),
    }


def bundle_body(limit: int, what: str) -> dict[str, Any]:
    """Return the request body of a POST: a bundle of at most ``limit`` characters."""
    return {
        "requestBody": {
            "required": True,
            "description": what,
            "content": {TEXT: {"schema": _lines_schema(limit)}},
        }
    }


def bundle_responses() -> dict[int | str, dict[str, Any]]:
    """Return the answers to a bundle: the file is refused as a whole, or each line answered."""
    lines = {"schema": _lines_schema(MAX_CHARACTERS_IN_FILE)}
    return _file_responses(
        {
            "description": "The receipts file: one receipt for each authentic line, in the order "
            "of the bundle; none for a line that was refused without a verdict. With "
            "`format=yaml` the same receipts as UsageReceipt objects, with `format=json` what "
            "became of each line.",
            "headers": _CACHE,
            "content": {
                TEXT: lines,
                YAML: {"schema": {"type": "string"}},
                "application/json": {"schema": {"$ref": "#/components/schemas/BundleAnswer"}},
            },
        }
    ) | {404: problem("`NotFound`: there is no such format. Nothing was stored.")}


def history_responses() -> dict[int | str, dict[str, Any]]:
    """Return the answers to a request for history."""
    return _file_responses(
        {
            "description": "Key statements by sequence, reports by chain and sequence, then the "
            "newest receipt of each chain and each receipt that says `Rejected`.",
            "headers": _CACHE,
            "content": {TEXT: {"schema": _lines_schema(MAX_CHARACTERS_IN_FILE)}},
        }
    )


def _file_responses(success: dict[str, Any]) -> dict[int | str, dict[str, Any]]:
    return {
        200: success,
        400: problem(
            "`BundleInvalid`: it was cut or edited, or its lines are out of order; or a class of "
            "layers 1-2 for its manifest or a key statement. Nothing was stored."
        ),
        401: problem(
            "`KeyUnknown`: the manifest is signed by no key of this installation, or the enrolment "
            "is missing. Nothing was stored."
        ),
        403: problem(
            "The manifest or the key chain is not for this vendor or subscription, not in order, "
            "or not authorised: `IssuerMismatch`, `LicenseMismatch`, `KeyRetired`, `ChainGap`, "
            "`RequestExpired`, …. Nothing was stored."
        ),
        408: problem("The body did not arrive in time. Nothing was stored."),
        413: problem("`TooLarge`: at most 4096 lines and 16 MiB. Nothing was stored."),
        415: problem("The body is not `text/plain`. Nothing was stored."),
        503: problem(
            "Not all of it could be stored. Send the same file again: nothing counts twice.",
            retry=True,
        ),
    }


def _lines_schema(limit: int) -> dict[str, Any]:
    return {
        "type": "string",
        "maxLength": limit,
        "description": "ASCII lines, each one token and a line feed.",
    }


def components() -> dict[str, Any]:
    """Return the schemas that the answers refer to, by name."""
    answer = BundleAnswer.model_json_schema(
        mode="serialization", ref_template="#/components/schemas/{model}"
    )
    return {
        model.__name__: model.model_json_schema(mode="serialization")
        for model in (Problem, SignedProblem)
    } | {**answer.pop("$defs"), BundleAnswer.__name__: answer}


def _token_schema(limit: int) -> dict[str, Any]:
    return {
        "type": "string",
        "maxLength": limit,
        "pattern": TOKEN_PATTERN,
        "description": "A JWS in compact form (RFC 7515), ASCII, nothing around it.",
    }
