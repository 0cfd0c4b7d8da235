"""Indicators, measured at every step without waiting for the device."""
