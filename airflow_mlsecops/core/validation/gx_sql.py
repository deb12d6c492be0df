"""Great Expectations' own SQL engine, where the data lie: in the snapshot whose rows were written down.

GX gets an engine, not a connection string: it never sees a password, can't write, and opens no transaction that sees
other rows. No values are fetched: the limit of examples is zero.

A query is asked anew for every metric. One that answers differently each time (``random()``, ``LIMIT`` without an
order, a function that looks at the clock) would be judged on other rows than those that are signed; so a query is read
once more at the end, and refused if its bytes changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_mlsecops.core.controls.gx_pandas import COUNTS_ONLY, quiet_context, refuse_own_sql, run_suite_on
from airflow_mlsecops.core.digest import Sha256
from airflow_mlsecops.core.errors import DataError
from airflow_mlsecops.core.profile.table_schema import type_name
from airflow_mlsecops.core.validation.engines import check_rows
from airflow_mlsecops.core.validation.evaluation import Evaluation, evaluate_expanded
from airflow_mlsecops.core.validation.sql.errors import told_safely
from airflow_mlsecops.core.validation.sql.export import export
from airflow_mlsecops.core.validation.sql.snapshot import Snapshot


def evaluate_in_database(
    snapshot: Snapshot, document: Mapping[str, Any], *, rows: int, digest: Sha256, why: str, allow_empty: bool = False
) -> Evaluation:
    """Evaluate a suite in an open snapshot.

    Args:
        snapshot: where.
        document: of a suite that ``load_suite`` read.
        rows: how many rows were written.
        digest: of what was written.
        why: why this engine.
        allow_empty: judge no rows, too.

    Raises:
        SuiteError: if an expectation brings SQL of its own.
        DataError: if there are no rows, or the snapshot doesn't answer as it did when it was written.
        DatabaseError, DatabaseUnavailableError: if the database breaks off.
    """
    refuse_own_sql(document)
    check_rows(rows, allow_empty)
    types = {column.name: type_name(column.type) for column in snapshot.columns}

    def run(expanded: Mapping[str, Any]) -> Evaluation:
        outcomes = run_suite_on(list(types), expanded, lambda expectations: _validate(snapshot, expectations))
        everything = tuple(range(len(expanded["expectations"])))
        return Evaluation(tuple(outcomes), rows, tuple(types), "gx-sql", why, everything)

    with told_safely(f"judging {snapshot.source}"):
        found = evaluate_expanded(document, types, run)
    if export(snapshot, None) != (rows, digest):
        raise DataError(
            f"{snapshot.source} answers differently each time it is asked",
            "give it an order, and no random() or clock; or judge its snapshot with engine='fused'",
        )
    return found


def _validate(snapshot: Snapshot, expectations: list[Any]) -> dict[int, Any]:
    """GX's results by the index that stands in each expectation's meta."""
    from great_expectations.core.batch import Batch
    from great_expectations.execution_engine import SqlAlchemyExecutionEngine
    from great_expectations.execution_engine.sqlalchemy_batch_data import SqlAlchemyBatchData
    from great_expectations.validator.validator import Validator

    context = quiet_context()  # before the engine, which needs one
    engine = SqlAlchemyExecutionEngine(engine=snapshot.engine)
    try:
        # A table as a query, too: GX errs about several columns of a table whose name is quoted (seen with 1.24.1).
        # A colon would name a parameter; a comment in the last line would comment out what GX adds.
        query = snapshot.source.statement.replace(":", r"\:") + "\n"
        data = SqlAlchemyBatchData(execution_engine=engine, create_temp_table=False, query=query)
        # GX asks a clause that tells its columns; of one that doesn't, it fetches all rows to learn their names.
        data.selectable.selected_columns = _described(snapshot)
        validator = Validator(execution_engine=engine, batches=[Batch(data=data)], data_context=context)
        configurations = [expectation.configuration for expectation in expectations]
        results = validator.graph_validate(configurations, runtime_configuration={"result_format": COUNTS_ONLY})
    finally:
        engine.close()
    return {result.expectation_config.meta["index"]: result for result in results}


def _described(snapshot: Snapshot) -> dict[str, Any]:
    """Columns with SQLAlchemy's types: of a table those of its catalogue, of a query what fits what is written."""
    import pyarrow as pa
    import sqlalchemy as sa

    if snapshot.source.table:
        *schema, table = snapshot.source.parts
        found = sa.inspect(snapshot.engine).get_columns(table, schema=schema[0] if schema else None)
        return {each["name"]: sa.column(each["name"], each["type"]) for each in found}
    types: dict[Any, Any] = {
        pa.bool_(): sa.BOOLEAN(),
        pa.int16(): sa.SMALLINT(),
        pa.int32(): sa.INTEGER(),
        pa.int64(): sa.BIGINT() if snapshot.database[0] == "postgresql" else sa.INTEGER(),
        pa.float32(): sa.REAL(),
        pa.float64(): sa.DOUBLE_PRECISION() if snapshot.database[0] == "postgresql" else sa.REAL(),
        pa.string(): sa.TEXT(),
        pa.date32(): sa.DATE(),
        pa.timestamp("us"): sa.TIMESTAMP(),
        pa.timestamp("us", "UTC"): sa.TIMESTAMP(timezone=True),
    }
    other = {True: sa.NUMERIC(), False: sa.types.NullType()}
    return {
        column.name: sa.column(column.name, types.get(column.type, other[pa.types.is_decimal(column.type)]))
        for column in snapshot.columns
    }
