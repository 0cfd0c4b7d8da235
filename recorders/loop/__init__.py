"""Recording somebody else's training loop."""
