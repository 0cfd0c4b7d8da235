"""Indicators as series over training, and as one value per run."""
