"""The tables are those of PostgreSQL as well; what cannot be expressed there would fail here."""

import pytest
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

from licenseusage.receiver.store.schema import documents, metadata


@pytest.mark.parametrize("table", metadata.sorted_tables, ids=lambda table: table.name)
def test_table_is_portable(table):
    assert table.name in str(CreateTable(table).compile(dialect=postgresql.dialect()))


def test_position_is_unique_on_postgresql_too():
    (index,) = [each for each in documents.indexes if each.unique]
    made = str(CreateIndex(index).compile(dialect=postgresql.dialect()))
    assert "UNIQUE" in made
    assert "(chain_id, sequence) WHERE verdict <> 'Conflict'" in made
