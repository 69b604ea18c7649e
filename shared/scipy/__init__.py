"""SciPy's functions: their derivatives, and functions of the same names where SciPy takes plain arrays alone.

The rules of `scipy.special` are keyed by its ufuncs, in tables as those of NumPy's: `elementary`, `error_functions`,
`gamma_functions`, `bessel`, `integrals`, `elliptic`, `distributions`; `incomplete` differentiates the incomplete gamma
and beta functions in their parameters, and `orders` Bessel functions in their order.  None of it is loaded before a
ufunc of `scipy.special` meets a traced value.  The ufuncs are taken from `scipy.special._ufuncs`, since the names of
`scipy.special` are functions around them where SciPy is told to take arrays of other libraries.

Much of the rest of SciPy turns its arguments into plain arrays, so it cannot be differentiated as it stands.  The
modules here have the names of SciPy's: on plain arrays a function calls SciPy, on traced values it has its derivatives
in both modes.  This room knows SciPy and the mathematics of its functions, and nothing of levels or engines.  SciPy is
needed by its modules alone, and loaded with them.

Public: the modules `special`, `linalg`, `sparse`, `sparse.linalg`, `fft`, `signal`.
"""
