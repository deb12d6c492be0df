def spoil(bench):
    """Other bytes under the same address, packed as we pack."""
    from airflow_mlsecops.core.store.tar import tar_chunks

    files = {name: b"other" if name.startswith("blobs/") else data for name, data in bench.things["files"].items()}
    bench.things["archive"] = b"".join(tar_chunks(files))
