def spoil(bench):
    """One name, composed and decomposed."""
    from tests.support.oms_models import sign_statement, statement

    names = ["e\u0301.bin", "\u00e9.bin"]
    bench.things["bundle"] = sign_statement(statement([(name, b"1") for name in names]))
