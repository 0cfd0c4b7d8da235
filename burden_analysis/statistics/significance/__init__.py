"""Tests: exact where they can be."""
