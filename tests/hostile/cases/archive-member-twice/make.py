def spoil(bench):
    """The first file once more, right behind itself."""
    block = bench.things["archive"][:1024]
    bench.things["archive"] = block + bench.things["archive"]
