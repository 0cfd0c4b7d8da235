"""The burden of a mask update, measured on held-out data."""
