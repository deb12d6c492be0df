def spoil(bench):
    """Write into the padding of the first file."""
    data = bytearray(bench.things["archive"])
    data[512 + 100] = 1
    bench.things["archive"] = bytes(data)
