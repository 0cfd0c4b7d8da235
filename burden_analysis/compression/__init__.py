"""The effect of compressing the input on accuracy (claim C3)."""
