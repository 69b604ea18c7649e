"""SciPy's functions: their derivatives, in tables as those of NumPy's.

`special` has the rules of `scipy.special`, keyed by its ufuncs, with the families beside it: `elementary`,
`error_functions`, `gamma_functions`, `bessel`, `integrals`, `elliptic`, `distributions`; `incomplete` differentiates
the incomplete gamma and beta functions in their parameters, and `orders` Bessel functions in their order.  None of it
is loaded before a ufunc of `scipy.special` meets a traced value.  The ufuncs are taken from `scipy.special._ufuncs`,
since the names of `scipy.special` are functions around them where SciPy is told to take arrays of other libraries.
This room knows SciPy and calculus, and nothing of levels or engines.

Public: the functions of `special` that stand in place of those of `scipy.special` that do not ask their arguments.
"""
