"""Figure 2 of the study."""
