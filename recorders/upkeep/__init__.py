"""Looks after whole recordings: verified, repaired, compacted, packed."""
