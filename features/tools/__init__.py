"""General building blocks: id index, spill to disk, parallel map, compilation, atomic files."""
