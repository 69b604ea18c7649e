"""What the engines cost: an asv suite, the command `python -m benchmarks`, and what both of them measure.

Importing this package measures nothing.  It asks for one BLAS thread, which works as long as NumPy has not
been imported before: with several, a figure says more about the scheduling of the matrix library than about
the engines.
"""

import os

for _variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"):
    os.environ.setdefault(_variable, "1")
