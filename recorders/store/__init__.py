"""The zarr store: created, written, compacted, recovered, locked."""
