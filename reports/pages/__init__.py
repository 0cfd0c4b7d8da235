"""The HTML reports and their JSON twins."""
