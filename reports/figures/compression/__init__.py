"""Accuracy differences by compression."""
