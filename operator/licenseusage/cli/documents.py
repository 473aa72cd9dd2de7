"""Reading signed documents: one token in a file, several, or Kubernetes objects.

Read from a file or, for ``-``, from standard input: bare tokens (one a line), a bundle, or an
object (Secret, ConfigMap, UsageReport, UsageReceipt) as ``kubectl get -o yaml`` or ``-o json``
prints it, or a List of them.
"""

import json
import sys
from base64 import b64decode
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from licenseusage.errors import Stalled
from licenseusage.reasons import Reason
from licenseusage.reports.keys import VendorKeys
from licenseusage.reports.refused import Refused
from licenseusage.reports.tokens import typ_of
from licenseusage.reports.typs import BUNDLE

MAX_BYTES = 16 * 2**20
LICENSE_MEMBER = "license.jwt"
"""Where a Secret carries a licence."""


@dataclass(frozen=True, slots=True)
class GivenDocument:
    """A token and where it was found.

    Attributes:
        source: File name (with the line, where it has several), or kind and name of the object.
        token: As found, without surrounding white space. It may be damaged.
        receipt: The receipt beside it, in the status of a UsageReport.
    """

    source: str
    token: str
    receipt: str | None = None


def read_text(path: str) -> str:
    """Return the text of a file, or of standard input for ``-``.

    Raises:
        Stalled: ``Unreadable``.
    """
    try:
        return read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Stalled(Reason.FILE_UNREADABLE, f"{path}: not text") from None


def read_bytes(path: str) -> bytes:
    """Return the content of a file, or of standard input for ``-``.

    Raises:
        Stalled: ``Unreadable``.
    """
    raw = _beginning(path)
    if len(raw) > MAX_BYTES:
        raise Stalled(Reason.FILE_UNREADABLE, f"{path}: longer than {MAX_BYTES // 2**20} MiB")
    return raw


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle (REPORT_FORMAT §8): the file as it is, because its line ends are signed, too."""

    source: str
    data: str


def read_bundle(path: str) -> Bundle:
    """Return a file as a bundle, whatever it is: what is wrong with it is judged, not assumed.

    Of a file that is longer than a bundle may be only the beginning is read.

    Raises:
        Stalled: ``Unreadable``.
    """
    # Octets that are not ASCII stay visible as such.
    return Bundle(_named(path), _beginning(path).decode("latin-1"))


def _beginning(path: str) -> bytes:
    try:
        if path == "-":
            return sys.stdin.buffer.read(MAX_BYTES + 1)
        with Path(path).open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise Stalled(Reason.FILE_UNREADABLE, f"{path}: {error.strerror or error}") from None


def read_documents(path: str) -> list[GivenDocument]:
    """Return every token that a file holds, in its order; a damaged one as it is.

    Raises:
        Stalled: ``Unreadable``; ``NoDocument``: it holds no token at all.
    """
    return _documents(read_text(path), _named(path))


def read_given(path: str) -> list[GivenDocument] | Bundle:
    """Return the documents in a file: its tokens, or a bundle.

    A file that is neither tokens nor Kubernetes objects is a damaged document, to be judged.

    Raises:
        Stalled: ``Unreadable``; ``NoDocument``: it is empty, or of objects that hold no token.
    """
    text, source = read_text(path), _named(path)
    if _is_bundle(text):
        return Bundle(source, text)
    if text.strip() and not _tokens(text, source) and not _are_objects(text):
        return [GivenDocument(source, text.strip())]
    return _documents(text, source)


def read_evidence(paths: Iterable[str]) -> tuple[GivenDocument, ...]:
    """Return every document of files that are given beside what is verified, in their order.

    A damaged line is a document that is judged like the others, and so is a file that is neither
    tokens nor Kubernetes objects; of a bundle, each line is one.

    Raises:
        Stalled: as `read_given`.
    """
    return tuple(document for path in paths for document in _each_document(path))


def _each_document(path: str) -> list[GivenDocument]:
    given = read_given(path)
    return _documents(given.data, given.source) if isinstance(given, Bundle) else given


def read_all_given(paths: Iterable[str]) -> list[GivenDocument | Bundle]:
    """Return what is in several files, in their order; see `read_given`.

    Raises:
        Stalled: as `read_given`.
    """
    given: list[GivenDocument | Bundle] = []
    for path in paths:
        content = read_given(path)
        given += [content] if isinstance(content, Bundle) else content
    return given


def read_license_file(path: str) -> bytes:
    """Return a licence from a file that holds the token or a Secret.

    Raises:
        Stalled: ``Unreadable``; ``NoDocument``: a Secret whose licence cannot be told.
    """
    raw = read_bytes(path)
    try:
        items = list(_objects(raw.decode("utf-8-sig"), path))
    except (UnicodeDecodeError, Stalled):
        return raw
    secrets = [item for item in items if item.get("kind") == "Secret"]
    if not secrets:
        return raw
    values = [member for secret in secrets for member in _values(secret)]
    named = [value for name, value in values if name == LICENSE_MEMBER] or [v for _, v in values]
    if len(named) != 1:
        raise Stalled(
            Reason.NO_DOCUMENT,
            f"{path} holds {len(named)} values, none of them or several named {LICENSE_MEMBER}; "
            f"expected one licence.",
        )
    return named[0]


def _values(secret: Mapping[str, Any]) -> Iterator[tuple[str, bytes]]:
    for name, value in (secret.get("stringData") or {}).items():
        yield str(name), str(value).encode()
    for name, value in (secret.get("data") or {}).items():
        try:
            yield str(name), b64decode(str(value), validate=True)
        except ValueError:
            yield str(name), b""


def read_vendor_keys(path: str) -> VendorKeys:
    """Return the keys of a JWKS file, or of the ConfigMap that carries one.

    Raises:
        Stalled: ``Unreadable`` or ``VendorKeysInvalid``.
    """
    text = read_text(path)
    try:
        is_jwks = isinstance(json.loads(text), dict) and "keys" in json.loads(text)
    except ValueError:
        is_jwks = False
    if not is_jwks:
        for item in _objects(text, path):
            jwks = (item.get("data") or {}).get("jwks.json")
            if isinstance(jwks, str):
                return VendorKeys.from_jwks(jwks, source=path)
    return VendorKeys.from_jwks(text, source=path)


def _named(path: str) -> str:
    return "standard input" if path == "-" else path


def _is_bundle(text: str) -> bool:
    try:
        return typ_of(text.split("\n", 1)[0].rstrip("\r")) == BUNDLE
    except Refused:
        return False


def _tokens(text: str, source: str) -> list[GivenDocument]:
    """Return the lines of a file of tokens, damaged ones too; none if it is another kind of file.

    In an object a line that looks like a token is part of a longer one, and so indented.
    """
    lines = [
        (number, line)
        for number, line in enumerate(text.splitlines(), 1)
        if line.strip() and not line.lstrip().startswith("#")
    ]
    if not any(_looks_like_token(line.rstrip()) for _, line in lines):
        return []
    single = len(lines) == 1
    return [
        GivenDocument(source if single else f"{source}:{number}", line.strip())
        for number, line in lines
    ]


def _documents(text: str, source: str) -> list[GivenDocument]:
    documents = _tokens(text, source) or [
        document for item in _objects(text, source) for document in documents_in(item, source)
    ]
    if not documents:
        raise Stalled(
            Reason.NO_DOCUMENT,
            f"{source} holds no signed document: expected tokens, one a line, or an object as "
            f"`kubectl get -o yaml` prints it.",
        )
    return documents


def _are_objects(text: str) -> bool:
    try:
        return any(isinstance(document, dict) for document in yaml.safe_load_all(text))
    except yaml.YAMLError:
        return False


def _looks_like_token(text: str) -> bool:
    return text.count(".") == 2 and " " not in text and ":" not in text


def _objects(text: str, source: str) -> Iterator[Mapping[str, Any]]:
    try:
        for item in yaml.safe_load_all(text):
            if isinstance(item, dict):
                items = item.get("items")
                several = items if isinstance(items, list) else [item]
                yield from (entry for entry in several if isinstance(entry, dict))
    except yaml.YAMLError:
        raise Stalled(
            Reason.NO_DOCUMENT, f"{source} is neither tokens nor YAML nor JSON."
        ) from None


def documents_in(item: Mapping[str, Any], source: str) -> Iterator[GivenDocument]:
    """Yield the tokens in an object as the API server has it; ``source`` if it has no name."""
    name = (item.get("metadata") or {}).get("name", source)
    match item.get("kind"):
        case "UsageReport":
            token = (item.get("spec") or {}).get("token")
            receipt = (item.get("status") or {}).get("receipt")
            if isinstance(token, str):
                yield GivenDocument(str(name), token, receipt if isinstance(receipt, str) else None)
        case "UsageReceipt":
            receipts = (item.get("spec") or {}).get("receipts")
            for number, token in enumerate(receipts if isinstance(receipts, list) else (), 1):
                if isinstance(token, str):
                    yield GivenDocument(f"UsageReceipt {name}, receipt {number}", token)
        case "Secret":
            for value in (item.get("stringData") or {}).values():
                yield from _lines_of(f"Secret {name}", value)
            for value in (item.get("data") or {}).values():
                yield from _lines_of(f"Secret {name}", _decoded(value))
        case "ConfigMap":
            for value in (item.get("data") or {}).values():
                yield from _lines_of(f"ConfigMap {name}", value)


def _lines_of(source: str, text: object) -> Iterator[GivenDocument]:
    """Yield the tokens of an object's member, one a line; none of a member that holds others."""
    lines = str(text).split()
    if lines and all(map(_looks_like_token, lines)):
        yield from (GivenDocument(source, line) for line in lines)


def _decoded(value: object) -> str:
    try:
        return b64decode(str(value), validate=True).decode("ascii").strip()
    except ValueError:
        return ""
