"""Linear functions and what is made of them: transposes, derivatives of one's own, and the schedule of checkpoints.

It knows which primitives are linear and in what, and no engine.  `linearity` runs a function on values that only a
linear one may compute with, `transposition` sweeps what that leaves behind, `custom` derives one direction of a rule
from the other; `checkpointing` knows when to compute again, and `purity` whether that gave the same.

Public, as names of `shared`: `linear_transpose`, `custom_derivative`, `checkpoint` and `checkpoint_loop`.
"""
