"""Effects with their intervals and bands."""
