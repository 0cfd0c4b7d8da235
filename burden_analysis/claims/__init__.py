"""The study's claims C1 to C3, judged."""
