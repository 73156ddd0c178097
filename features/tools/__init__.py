"""General building blocks: id index, spilling to disk, threads, compilation, time, files."""
