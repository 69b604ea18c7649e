"""Checkpoints on the tape: parts of the program that are recorded when the sweep comes to them, and not before.

`call` and `loop` are what a tape does for `shared.linear.checkpointing`, which loads this package at the first
checkpoint.  A part is a segment (`segments`); it is evaluated without being recorded (`untaped`), stands on the tape as
records of its own kind (`edges`), and is recorded again by whoever sweeps (`reopening`); what the tape has to know
meanwhile is in `checkpoints`.  This package knows tapes; it knows no calculus.
"""

from reversead.checkpointing.segments import call, loop

__all__ = ["call", "loop"]
