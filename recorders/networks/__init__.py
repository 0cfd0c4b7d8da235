"""The networks of the studies, their prunable layers, and token merging."""
