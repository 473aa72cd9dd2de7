"""Every stored field is in docs/privacy.md, with its purpose."""

import ast
from dataclasses import replace
from inspect import getsource

import pytest
from pydantic import Field
from sqlalchemy import Column, Integer, MetaData, Table

from hack.marks import NoMarksError
from hack.stored.__main__ import PAGE
from hack.stored.group import Group, NoPurposeError
from hack.stored.page import with_tables
from hack.stored.places import kinds, places, tables
from licenseusage.api import crd
from licenseusage.api.model import ApiModel
from licenseusage.controller.rules import keysecrets


def test_the_committed_page_is_the_generated_one():
    page = PAGE.read_text("utf-8")
    assert with_tables(page, places()) == page, "run: make generate"


def test_what_is_around_the_tables_stays():
    page = PAGE.read_text("utf-8")
    assert with_tables(f"before\n{page}after\n", ()).startswith("before\n# Privacy")
    with pytest.raises(NoMarksError):
        with_tables("no marks", places())


def table(*columns):
    metadata = MetaData()
    Table("t", metadata, *(Column(name, Integer) for name in columns))
    return metadata


PURPOSES = {"t": Group("t", "users", "a day", {"at_ms": "when"})}


def test_a_column_without_a_purpose_is_an_error():
    assert tables(table("at_ms"), PURPOSES) == (PURPOSES["t"],)
    with pytest.raises(NoPurposeError, match="table t: user_id: say in hack/stored"):
        tables(table("at_ms", "user_id"), PURPOSES)


def test_a_table_without_a_purpose_is_an_error():
    with pytest.raises(NoPurposeError, match="table t: say in hack/stored"):
        tables(table("at_ms"), {})


def test_a_purpose_of_what_is_not_stored_is_an_error():
    with pytest.raises(NoPurposeError, match="table t: at_ms"):
        tables(table(), PURPOSES)
    with pytest.raises(NoPurposeError, match="there is no table t"):
        tables(MetaData(), PURPOSES)


def test_a_field_of_an_object_without_a_purpose_is_an_error():
    class Status(ApiModel):
        user: str = Field(default="")

    class LicenseUsage(ApiModel):
        spec: Status = Field(description="spec is what is wanted.")
        status: Status = Field(description="status is written by the operator.")

    kind = replace(crd.KINDS[0], model=LicenseUsage, default_status=False)
    with pytest.raises(NoPurposeError, match=r"LicenseUsage status\.user: say in description="):
        list(kinds((kind,)))


def test_each_member_of_the_operators_secrets_has_a_purpose():
    constants = {
        node.value.value
        for node in ast.parse(getsource(keysecrets)).body
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    }
    assert constants == {*keysecrets.IDENTITY_MEMBERS, *keysecrets.PSEUDONYM_MEMBERS}


def test_only_three_tables_have_rows_about_single_persons():
    about = [
        f"{group.name}.{name}"
        for place in places()
        for group in place.groups
        for name, purpose in group.fields.items()
        if "person's id" in purpose
    ]
    assert about == ["facts.pseudonym", "roster_users.pseudonym", "erasures.pseudonym"]
