"""Tests, in the folders of the source; a package, so that they share their helpers by name."""
