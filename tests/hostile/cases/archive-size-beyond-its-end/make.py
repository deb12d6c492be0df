def spoil(bench):
    """Claim a gigabyte, with a header whose checksum is right."""
    import tarfile

    info = tarfile.TarInfo("README.txt")
    info.size, info.mode = 1 << 30, 0o644
    header = info.tobuf(tarfile.USTAR_FORMAT, "ascii", "strict")
    bench.things["archive"] = header + bench.things["archive"][512:]
