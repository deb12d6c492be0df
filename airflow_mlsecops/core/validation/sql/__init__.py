"""Tables and queries in a database: one snapshot, read once into a Parquet file, and judged as they were then."""
