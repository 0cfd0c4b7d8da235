"""The burden of mask updates."""
