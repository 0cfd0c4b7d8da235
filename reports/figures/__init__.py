"""One folder or file a figure."""
