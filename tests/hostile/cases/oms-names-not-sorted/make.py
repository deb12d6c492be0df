def spoil(bench):
    """The true files and digests, in reverse order, with the root digest of that order."""
    from tests.support.oms_models import FILES, sign_statement, statement

    bench.things["bundle"] = sign_statement(statement(sorted(FILES.items(), reverse=True)))
