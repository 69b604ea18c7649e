"""Recorded programs as straight-line NumPy source, and the functions that run it."""
