"""What is read from a database is one moment of it, is all that is judged, and nothing is written to it."""

from __future__ import annotations

import tracemalloc
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from airflow_mlsecops.core.controls.suite import load_suite
from airflow_mlsecops.core.digest import sha256_bytes
from airflow_mlsecops.core.errors import ConfigurationError, DataError, MlsecopsError, SuiteError
from airflow_mlsecops.core.validation.gx_spark import SparkSettings, evaluate_on_spark
from airflow_mlsecops.core.validation.sql.errors import DatabaseError, DatabaseUnavailableError
from airflow_mlsecops.core.validation.sql.postgresql import PostgresDatabase
from airflow_mlsecops.core.validation.sql.sqlite import SqliteDatabase
from tests.core.validation.sql.lakes import Lake, judged, of_postgres, of_sqlite, opened, source
from tests.support.postgres import PASSWORD, READER, Postgres

ROWS = [
    "CREATE TABLE orders (id integer PRIMARY KEY, name text, price double precision)",
    "INSERT INTO orders VALUES (3, NULL, 2.5), (1, 'a', 0.5), (2, 'b%', NULL)",
]
POSITIVE = {"type": "expect_column_values_to_be_between", "kwargs": {"column": "price", "min_value": 0}}
THREE = {"type": "expect_table_row_count_to_equal", "kwargs": {"value": 3}}


@pytest.fixture(params=["sqlite", "postgres"])
def lake(request: pytest.FixtureRequest, sqlite_file: Path) -> Lake:
    made = of_sqlite(sqlite_file) if request.param == "sqlite" else of_postgres(request.getfixturevalue("postgres"))
    made.run(*ROWS)
    return made


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "rows.parquet"


class TestWhatIsRead:
    def test_a_table_in_the_order_of_its_primary_key(self, lake: Lake, file: Path) -> None:
        with opened(lake, file, table="orders") as (snapshot, rows, digest):
            assert snapshot.order == ("id",)
        assert rows == 3
        assert digest == sha256_bytes(file.read_bytes())
        assert pq.read_table(file).to_pydict() == {
            "id": [1, 2, 3],
            "name": ["a", "b%", None],
            "price": [0.5, None, 2.5],
        }

    def test_a_query_in_the_order_that_is_asked_for(self, lake: Lake, file: Path) -> None:
        query = "SELECT id, ':x 100%' AS note FROM orders -- all of them;"
        with opened(lake, file, query=query, order_by=["id"]) as (snapshot, rows, digest):
            assert judged(snapshot, rows, digest, THREE).outcomes[0].held
        assert pq.read_table(file).to_pydict() == {"id": [1, 2, 3], "note": [":x 100%"] * 3}

    def test_equal_rows_have_one_digest_however_they_were_written(self, lake: Lake, file: Path) -> None:
        digests = []
        for change in (
            "SELECT 1",
            "DELETE FROM orders WHERE id = 1",
            "INSERT INTO orders VALUES (1, 'a', 0.5)",
            "UPDATE orders SET price = 0.6 WHERE id = 1",
        ):
            lake.run(change)
            with opened(lake, file, table="orders") as (_, _, digest):
                digests.append(digest)
        assert digests[0] == digests[2]
        assert len(set(digests)) == 3

    def test_names_that_hold_sql_are_names(self, lake: Lake, file: Path) -> None:
        lake.run(
            'CREATE TABLE "o""; DROP TABLE orders; --.%s" ("a""b: %(x)s :y" integer)',
            'INSERT INTO "o""; DROP TABLE orders; --.%s" VALUES (7)',
        )
        expectation = {
            "type": "expect_column_values_to_be_between",
            "kwargs": {"column": 'a"b: %(x)s :y', "min_value": 0, "max_value": 8},
        }
        with opened(lake, file, table='"o""; DROP TABLE orders; --.%s"') as (snapshot, rows, digest):
            found = judged(snapshot, rows, digest, expectation).outcomes[0]
        # GX itself may trip over such a name: then nobody evaluated it, and that is a NO.
        assert bool(found) or found.trouble
        assert pq.read_table(file).to_pydict() == {'a"b: %(x)s :y': [7]}
        with opened(lake, file, table="orders") as (_, rows, _):
            assert rows == 3

    def test_memory_stays_bounded(self, lake: Lake, file: Path) -> None:
        lake.run(
            "CREATE TABLE wide AS WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40000) "
            f"SELECT i, '{'x' * 2000}' || i AS t FROM n"
        )
        tracemalloc.start()
        try:
            with opened(lake, file, table="wide") as (_, rows, _):
                peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert rows == 40_000  # 80 MB of text
        assert peak < 40 * 1024 * 1024


class TestOneMoment:
    def test_what_others_commit_meanwhile_is_not_judged(self, lake: Lake, file: Path) -> None:
        with opened(lake, file, table="orders") as (snapshot, rows, digest):
            lake.run("INSERT INTO orders VALUES (4, 'late', -1.0)", "UPDATE orders SET price = -2 WHERE id = 1")
            found = judged(snapshot, rows, digest, POSITIVE, THREE)
            assert [bool(outcome) for outcome in found.outcomes] == [True, True]
            assert (found.rows, found.engine) == (3, "gx-sql")
        with opened(lake, file, table="orders") as (snapshot, rows, digest):
            found = judged(snapshot, rows, digest, POSITIVE, THREE)
            assert [bool(outcome) for outcome in found.outcomes] == [False, False]
            assert found.outcomes[0].unexpected == 2

    def test_a_query_that_answers_differently_is_not_judged_in_place(self, lake: Lake, file: Path) -> None:
        lake.run(*(f"INSERT INTO orders VALUES ({n}, 'x', 1.0)" for n in range(10, 60)))
        query = "SELECT id, random() AS r FROM orders"
        told = pytest.raises(DataError, match="answers differently each time")
        with opened(lake, file, query=query, order_by=["id"]) as (snapshot, rows, digest), told:
            judged(snapshot, rows, digest, {"type": "expect_column_to_exist", "kwargs": {"column": "r"}})

    @pytest.mark.parametrize("engine", ["sql", "spark"])
    def test_expectations_bring_no_sql_of_their_own(self, lake: Lake, file: Path, engine: str) -> None:
        query = "SELECT * FROM {batch}; COMMIT; SET default_transaction_read_only = off; DROP TABLE orders"
        own = {"type": "unexpected_rows_expectation", "kwargs": {"unexpected_rows_query": query}}
        told = pytest.raises(SuiteError, match="brings SQL of its own")
        with opened(lake, file, table="orders") as (snapshot, rows, digest), told:
            if engine == "sql":
                judged(snapshot, rows, digest, own)
            document = load_suite({"name": "s", "expectations": [own]}).document
            evaluate_on_spark(file, document, settings=SparkSettings("local[1]"), why="asked for")
        with opened(lake, file, table="orders") as (_, rows, _):
            assert rows == 3

    def test_no_rows_are_no_data(self, lake: Lake, file: Path) -> None:
        lake.run("DELETE FROM orders")
        with opened(lake, file, table="orders") as (snapshot, rows, digest), pytest.raises(DataError, match="no rows"):
            judged(snapshot, rows, digest, POSITIVE)

    def test_all_nulls_a_missing_column_and_an_error_are_no_successes(self, lake: Lake, file: Path) -> None:
        lake.run("UPDATE orders SET price = NULL")
        broken = {"type": "expect_column_values_to_match_regex", "kwargs": {"column": "name", "regex": "("}}
        gone = {"type": "expect_column_max_to_be_between", "kwargs": {"column": "gone", "max_value": 1}}
        mean = {"type": "expect_column_mean_to_be_between", "kwargs": {"column": "price", "max_value": 1}}
        with opened(lake, file, table="orders") as (snapshot, rows, digest):
            found = judged(snapshot, rows, digest, POSITIVE, broken, gone, mean).outcomes
        assert [bool(outcome) for outcome in found] == [False] * 4
        assert found[0].saw == 0
        assert found[1].trouble
        assert found[2].missing_column


REFUSED = {
    "two statements": "SELECT 1 AS a; SELECT 2 AS b",
    "a way out of the brackets": "SELECT 1 AS a) AS pinned; DROP TABLE orders; SELECT * FROM (SELECT 2 AS a",
    "a way out of the brackets, commented": "SELECT 1 AS a) AS pinned; DROP TABLE orders --",
    "an open comment": "SELECT 1 AS a /*",
    "a delete": "DELETE FROM orders",
    "a delete that returns rows": "DELETE FROM orders RETURNING *",
    "a delete in front": "WITH gone AS (DELETE FROM orders RETURNING *) SELECT * FROM gone",
    "a table made": "CREATE TABLE stolen AS SELECT * FROM orders",
    "a table dropped": "DROP TABLE orders",
    "the transaction ended": "COMMIT",
    "no table": "SELECT * FROM nowhere",
    "no column": "SELECT nothing FROM orders",
    "no SQL": "give me all",
    "a column twice": "SELECT id, id FROM orders",
    "a column twice but for case": 'SELECT id, name AS "ID" FROM orders',
    "a parameter": "SELECT * FROM orders WHERE id = $1",
}


class TestWhatIsRefused:
    @pytest.mark.parametrize("query", REFUSED.values(), ids=REFUSED)
    def test_queries(self, lake: Lake, file: Path, query: str) -> None:
        with pytest.raises((DatabaseError, DataError)) as refused, opened(lake, file, query=query):
            pass
        assert PASSWORD not in str(refused.value)
        with opened(lake, file, table="orders") as (_, rows, _):
            assert rows == 3

    @pytest.mark.parametrize("table", ["nowhere", "nowhere.orders", "Orders.x"])
    def test_tables_that_are_not_there(self, lake: Lake, file: Path, table: str) -> None:
        with pytest.raises(DatabaseError, match="the database says NO") as refused, opened(lake, file, table=table):
            pass
        assert not refused.value.transient

    def test_an_order_by_what_is_not_there(self, lake: Lake, file: Path) -> None:
        told = pytest.raises(DataError, match="no column 'gone' to order by")
        with told, opened(lake, file, table="orders", order_by=["gone"]):
            pass

    @pytest.mark.parametrize(
        ("value", "told"),
        [
            ({"table": "a", "query": "SELECT 1"}, "both or neither"),
            ({}, "both or neither"),
            ({"table": "a", "password": "x"}, "'password'"),
            ({"table": "a", "snapshot_uri": ""}, "snapshot_uri is empty"),
            ({"table": "a", "snapshot_uri": "s3://b/a.csv"}, "parquet"),
            ({"table": "a", "order_by": "id"}, "order_by"),
            ({"table": "a\0b"}, "no text"),
            ({"query": "SELECT 1 AS a\0; SELECT 2"}, "no text"),
            ({"query": "SELECT '\ud800' AS a"}, "no text"),
        ],
    )
    def test_sources_that_make_no_sense(self, value: dict[str, Any], told: str) -> None:
        with pytest.raises(ConfigurationError, match=told):
            source(**value)

    @pytest.mark.parametrize("table", ["a.b.c", '"a', "a.", ".a", 'a"b"."'])
    def test_names_of_tables_that_are_none(self, table: str) -> None:
        with pytest.raises(ConfigurationError, match="isn't a name"):
            _ = source(table=table).relation

    def test_names_are_quoted(self) -> None:
        assert source(table='"a.""b".c').relation == '"a.""b"."c"'


class TestSqlite:
    @pytest.mark.parametrize(
        "query", ["SELECT load_extension('x') AS a", "PRAGMA user_version = 3", "PRAGMA database_list"]
    )
    def test_only_reading_is_allowed(self, sqlite_file: Path, file: Path, query: str) -> None:
        with pytest.raises(DatabaseError), opened(of_sqlite(sqlite_file), file, query=query):
            pass

    def test_no_other_file_is_attached(self, sqlite_file: Path, file: Path, tmp_path: Path) -> None:
        with pytest.raises(DatabaseError), opened(of_sqlite(sqlite_file), file, query=f"ATTACH '{tmp_path}/o' AS o"):
            pass
        assert not (tmp_path / "o").exists()

    def test_columns_are_typed_by_their_values(self, sqlite_file: Path, file: Path) -> None:
        lake = of_sqlite(sqlite_file)
        lake.run(
            "CREATE TABLE t (i, r, m, t, b, n)",
            "INSERT INTO t VALUES (1, 1.5, 2, 'ä', x'00ff', NULL), (9007199254740993, NULL, 2.5, NULL, NULL, NULL)",
        )
        with opened(lake, file, table="t"):
            pass
        read = pq.read_table(file)
        kinds = {field.name: str(field.type) for field in read.schema}
        assert kinds == {"i": "int64", "r": "double", "m": "double", "t": "string", "b": "binary", "n": "null"}
        assert read.column("i").to_pylist() == [1, 2**53 + 1]

    @pytest.mark.parametrize("values", ["(1), ('a')", "(x'00'), ('a')", "(1.5), (9007199254740993)"])
    def test_a_column_of_several_types_is_refused(self, sqlite_file: Path, file: Path, values: str) -> None:
        lake = of_sqlite(sqlite_file)
        lake.run("CREATE TABLE t (c)", f"INSERT INTO t VALUES {values}")
        with pytest.raises(DataError, match="several types"), opened(lake, file, table="t"):
            pass

    def test_text_that_is_not_utf8_is_refused_without_quoting_it(self, sqlite_file: Path, file: Path) -> None:
        lake = of_sqlite(sqlite_file)
        lake.run("CREATE TABLE t (c TEXT)", "INSERT INTO t VALUES (CAST(x'736563726574ff' AS TEXT))")
        with pytest.raises(DataError, match="UTF-8") as refused, opened(lake, file, table="t"):
            pass
        assert "secret" not in str(refused.value)

    def test_what_is_no_database(self, tmp_path: Path, file: Path) -> None:
        (tmp_path / "no.db").write_bytes(b"no database at all" * 100)
        told = pytest.raises(DataError, match="no whole SQLite database")
        with told, opened(of_sqlite(tmp_path / "no.db"), file, table="t"):
            pass
        gone = pytest.raises(DatabaseUnavailableError, match="there is no file")
        with gone, SqliteDatabase(tmp_path / "gone.db").snapshot(source(table="t")):
            pass
        assert not (tmp_path / "gone.db").exists()


class TestPostgres:
    def test_values_arrive_as_they_are(self, postgres: Postgres, file: Path) -> None:
        lake = of_postgres(postgres)
        lake.run(
            "CREATE TABLE t (n numeric(12, 3), d date, z timestamptz, l timestamp, b bytea, u uuid, j jsonb, a int[])",
            "INSERT INTO t VALUES (-1.5, '2026-01-02', '2026-01-02 03:04:05.000006+02', '1999-12-31', '\\x00ff',"
            " '12345678-1234-1234-1234-123456789abc', '{\"k\": [1]}', '{1,NULL}')",
        )
        with opened(lake, file, table="t"):
            pass
        (row,) = pq.read_table(file).to_pylist()
        assert row == {
            "n": Decimal("-1.500"),
            "d": date(2026, 1, 2),
            "z": datetime(2026, 1, 2, 1, 4, 5, 6, tzinfo=UTC),
            "l": datetime(1999, 12, 31),
            "b": b"\x00\xff",
            "u": "12345678-1234-1234-1234-123456789abc",
            "j": '{"k": [1]}',
            "a": "{1,NULL}",
        }

    @pytest.mark.parametrize(
        "value",
        [
            "1.5::numeric",
            "'NaN'::numeric(5, 2)",
            "'infinity'::date",
            "'infinity'::timestamptz",
            "'4000-01-01 BC'::date",
        ],
    )
    def test_values_that_parquet_cannot_hold_are_refused(self, postgres: Postgres, file: Path, value: str) -> None:
        with pytest.raises(DataError), opened(of_postgres(postgres), file, query=f"SELECT {value} AS v"):
            pass

    def test_a_cell_that_breaks_a_cast_is_not_told(self, postgres: Postgres, file: Path) -> None:
        lake = of_postgres(postgres)
        lake.run("CREATE TABLE t (c text)", "INSERT INTO t VALUES ('tell-nobody')")
        with pytest.raises(MlsecopsError) as refused, opened(lake, file, query="SELECT c::integer AS c FROM t"):
            pass
        assert "tell-nobody" not in str(refused.value)
        assert refused.value.__suppress_context__

    def test_a_table_that_may_not_be_read(self, postgres: Postgres, file: Path) -> None:
        lake = of_postgres(postgres)
        lake.run("CREATE TABLE t (c text)")
        postgres.run(f"REVOKE ALL ON t FROM {READER}")
        with pytest.raises(DatabaseError, match="not allowed"), opened(lake, file, table="t"):
            pass

    def test_even_the_owner_cannot_write_through_it(self, postgres: Postgres, file: Path) -> None:
        lake = of_postgres(postgres)
        lake.run(*ROWS, "CREATE SEQUENCE s")
        owner = Lake(PostgresDatabase(str(postgres.socket), "postgres", "postgres"), lake.run)
        for query in ("SELECT nextval('s')", "SELECT set_config('transaction_read_only', 'off', false)"):
            with pytest.raises(DatabaseError), opened(owner, file, query=query):
                pass
        # PostgreSQL 15 lets a read-only transaction make large objects; but nothing is ever committed.
        with opened(owner, file, query="SELECT lo_create(77) AS n") as (_, rows, _):
            assert rows == 1
        with opened(owner, file, query="SELECT oid FROM pg_largeobject_metadata") as (_, rows, _):
            assert rows == 0

    def test_a_server_that_is_down_and_a_wrong_password_are_told_apart_from_the_data(
        self, postgres: Postgres, file: Path, tmp_path: Path
    ) -> None:
        for database in (
            PostgresDatabase(str(tmp_path), "postgres", READER, PASSWORD),
            PostgresDatabase(str(postgres.socket), "postgres", READER, "not-the-password"),
        ):
            with pytest.raises(DatabaseUnavailableError) as refused, database.snapshot(source(table="t")):
                pass
            assert refused.value.transient
            assert "password" not in repr(database)
            for secret in (PASSWORD, "not-the-password"):
                assert secret not in str(refused.value)
                assert secret not in repr(database)
