def spoil(bench):
    """Add a symbolic link."""
    import io
    import tarfile

    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, data in bench.things["files"].items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        info = tarfile.TarInfo("blobs")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc"
        archive.addfile(info)
    bench.things["archive"] = out.getvalue()
