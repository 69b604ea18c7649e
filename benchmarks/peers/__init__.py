"""`python -m benchmarks.peers`: the same derivatives in this library and in others, beside NumPy written by hand.

Importing this package imports none of the others.
"""
