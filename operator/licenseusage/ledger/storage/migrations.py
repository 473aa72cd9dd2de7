"""Older ledgers are brought up to this program's schema, step by step; newer ones are refused.

Before the first step the whole file is copied beside itself. Each step is one transaction which
also writes the version it leads to, so that a crash anywhere is continued at the next start. There
is no way back but that copy: a program does not know the steps of the ones after it.
"""

import os
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from licenseusage import __version__
from licenseusage.errors import Stalled
from licenseusage.ledger.storage import schema
from licenseusage.ledger.storage.copying import copy_into, make_durable
from licenseusage.ledger.storage.faults import Corrupt, explained, of_the_disk, unusable
from licenseusage.ledger.storage.steps import STEPS, Step
from licenseusage.reasons import Reason


def bring_up_to_date(engine: Engine, path: Path) -> None:
    """Lead an open ledger to this program's schema; do nothing if it has it.

    Raises:
        Stalled: ``LedgerSchemaUnsupported``: too new or too old; ``LedgerUpgradeFailed``: a step
            did not work, and the ledger is as it was before that step.
        Retryable: No room for the copy, read-only, or the like: nothing was changed.
    """
    stated = _stated(engine, path)
    version = stated["schema_version"]
    if version == schema.VERSION:
        return
    steps = [step for step in STEPS if step.to > version]
    if version > schema.VERSION:
        raise _too_new(path, stated)
    if [step.to for step in steps] != list(range(version + 1, schema.VERSION + 1)):
        raise Stalled(
            Reason.LEDGER_SCHEMA_UNSUPPORTED,
            f"The ledger {path} has schema {version}, which is too old for licenseusage "
            f"{__version__} (schema {schema.VERSION}). Start a version in between first, it brings "
            f"the ledger further. Nothing was changed.",
        )
    kept = _copy_beside(engine, path, version)
    for step in steps:
        _take(engine, path, step, kept)


def copy_before(path: Path, version: int) -> Path:
    """Return where the copy from before an upgrade is kept."""
    return path.with_name(f"{path.name}.schema-{version}.backup")


def _stated(engine: Engine, path: Path) -> Mapping[str, Any]:
    """Return what a ledger of any version says about itself."""
    with engine.connect() as connection:
        row = connection.execute(text("SELECT * FROM ledger")).mappings().one_or_none()
    if row is None or not isinstance(row.get("schema_version"), int):
        raise Corrupt(path, "it does not say which schema it has")
    return dict(row)


def _too_new(path: Path, stated: Mapping[str, Any]) -> Stalled:
    writer = stated.get("written_by")
    by = f"licenseusage {writer}" if writer else "a newer licenseusage"
    copy = copy_before(path, schema.VERSION)
    kept = f" ({copy} was made before the upgrade)" if copy.exists() else ""
    return Stalled(
        Reason.LEDGER_SCHEMA_UNSUPPORTED,
        f"The ledger {path} was written by {by} and has schema {stated['schema_version']}; this is "
        f"licenseusage {__version__}, which knows schema {schema.VERSION} at most. Run {by} or a "
        f"later one. To go back all the same, restore a backup from before the upgrade{kept}: what "
        f"was counted since is then missing. Nothing was changed.",
    )


def _copy_beside(engine: Engine, path: Path, version: int) -> Path:
    copy = copy_before(path, version)
    unfinished = copy.with_name(copy.name + ".unfinished")
    raw = engine.raw_connection()
    try:
        copy_into(raw.driver_connection, unfinished)  # type: ignore[arg-type]
        os.replace(unfinished, copy)
        make_durable(path.parent)
    except OSError as error:
        raise unusable(error, path, f"The copy {copy} that goes before an upgrade") from None
    except sqlite3.Error as error:
        raise explained(error, path) from error
    finally:
        raw.close()
    return copy


def _take(engine: Engine, path: Path, step: Step, kept: Path) -> None:
    try:
        with engine.begin() as connection:
            step.apply(connection)
            if connection.execute(text("PRAGMA foreign_key_check")).first() is not None:
                raise ValueError("a row would point to nothing")  # noqa: TRY301
            connection.execute(
                text("UPDATE ledger SET schema_version = :version, written_by = :program"),
                {"version": step.to, "program": __version__},
            )
    except DBAPIError as error:
        if of_the_disk(error):
            raise explained(error, path) from error
        raise _failed(path, step, kept, str(error.orig)) from error
    except Exception as error:
        raise _failed(path, step, kept, f"{type(error).__name__}: {error}") from error


def _failed(path: Path, step: Step, kept: Path, seen: str) -> Stalled:
    return Stalled(
        Reason.LEDGER_UPGRADE_FAILED,
        f"The ledger {path} could not be brought from schema {step.to - 1} to {step.to} by "
        f"licenseusage {__version__}: {seen}. It is as it was before this step. Run the version "
        f"that was used before, with {kept} restored if other steps had been taken, and report "
        f"this message.",
    )
