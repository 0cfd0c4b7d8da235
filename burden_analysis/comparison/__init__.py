"""Strategies and sparsities compared: tests, effects, verdicts, and what could have been seen."""
