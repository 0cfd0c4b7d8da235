"""Which runs form which cell of a design, and what of it can be compared."""
