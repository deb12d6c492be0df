def spoil(bench):
    """A file named like the folder of another."""
    from tests.support.oms_models import sign_statement, statement

    bench.things["bundle"] = sign_statement(statement([("a", b"1"), ("a/b", b"2")]))
