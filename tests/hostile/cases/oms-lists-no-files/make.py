def spoil(bench):
    """An empty list with the digest of nothing."""
    from tests.support.oms_models import sign_statement, statement

    bench.things["bundle"] = sign_statement(statement([]))
