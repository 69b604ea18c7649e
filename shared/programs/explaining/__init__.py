"""Recorded programs for reading: tables, steps of the reverse sweep, rounding errors, drawings."""
