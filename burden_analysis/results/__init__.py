"""What every result is made of: rows, families of tests, words, printed tables."""
