"""SciPy's functions, of the same names and signatures, that compute with traced values too.

Much of SciPy turns its arguments into plain arrays, so it cannot be differentiated as it stands.  The modules here have
the names of SciPy's: on plain arrays a function calls SciPy, on traced values it has its derivatives in both modes.
This room knows the mathematics of these functions and no engine.  SciPy is needed by its modules alone, and loaded with
them.

Public: the modules `linalg`, `sparse`, `sparse.linalg`, `fft`, `signal`.
"""
