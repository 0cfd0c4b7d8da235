"""Opening a study: its recordings, joined into one dataset."""
