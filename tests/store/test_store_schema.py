from __future__ import annotations

import stat

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from plugin.errors import StoreBroken, StoreUnavailable
from plugin.store.opening import open_database
from plugin.store.schema import migrate, schema_problem
from plugin.store.tables import metadata


@pytest.fixture
def empty(tmp_path):
    database = open_database(f"sqlite:///{tmp_path / 'new' / 'survey.db'}")
    yield database
    database.close()


def test_the_migrations_make_exactly_the_tables_that_the_program_works_with(empty):
    migrate(empty)

    with empty.read() as db:
        context = MigrationContext.configure(db, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []


def test_the_migrations_make_every_partial_index_as_declared(empty):
    migrate(empty)

    with empty.read() as db:
        made = dict(db.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE type = 'index'").all())
    for table in metadata.sorted_tables:
        for index in table.indexes:
            where = index.dialect_options["sqlite"]["where"]
            assert str(made[index.name]).endswith(f"WHERE {where}") is (where is not None), index.name


def test_migrating_makes_the_folder_and_says_what_it_did(empty):
    before, after = migrate(empty)

    assert (before, after) == (None, "0006")
    assert empty.path.exists()


def test_only_its_owner_can_read_a_new_database(empty):
    migrate(empty)

    with empty.write():
        files = [path for path in empty.path.parent.iterdir() if path.name.startswith(empty.path.name)]
        assert len(files) >= 3
        assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


def test_migrating_twice_is_harmless(empty):
    migrate(empty)

    assert migrate(empty) == ("0006", "0006")
    assert schema_problem(empty) is None


def test_a_database_without_tables_says_what_to_do(empty):
    empty.path.parent.mkdir()

    assert "survey-plugin migrate" in str(schema_problem(empty))


def test_a_database_of_a_newer_program_is_refused_with_a_sentence(empty):
    migrate(empty)
    with empty.write() as db:
        db.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")

    with pytest.raises(StoreBroken, match="newer version of survey-plugin"):
        migrate(empty)
    assert "newer version of survey-plugin" in str(schema_problem(empty))


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    database = open_database(f"sqlite:///{tmp_path / 'file' / 'survey.db'}")

    with pytest.raises(StoreUnavailable, match="folder"):
        migrate(database)


def test_a_database_of_another_program_is_refused_with_a_sentence(empty):
    empty.path.parent.mkdir()
    with empty.write() as db:
        db.exec_driver_sql("CREATE TABLE customers (id TEXT)")

    with pytest.raises(StoreBroken, match="tables of another program"):
        migrate(empty)
    assert "tables of another program" in str(schema_problem(empty))


def test_a_migration_that_fails_leaves_nothing_behind(empty):
    empty.path.parent.mkdir()
    with empty.write() as db:
        db.exec_driver_sql("CREATE VIEW deliveries AS SELECT 1")

    with pytest.raises(StoreUnavailable, match="already"):
        migrate(empty)

    with empty.read() as db:
        assert db.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table'").scalars().all() == []
