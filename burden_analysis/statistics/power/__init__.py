"""What a number of seeds can show."""
