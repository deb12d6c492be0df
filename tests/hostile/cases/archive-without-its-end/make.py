def spoil(bench):
    """Cut the last empty block off."""
    bench.things["archive"] = bench.things["archive"][:-512]
