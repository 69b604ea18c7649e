"""scipy.special: its rules, and the functions of it that do not ask their arguments.

The ufuncs of `scipy.special` are differentiated as they stand.  The other functions of `scipy.special` that take plain
arrays alone have functions of the same name and signature here.  Loading this module declares every rule.
"""

from __future__ import annotations

from shared.scipy import bessel, distributions, elementary, elliptic, error_functions, gamma_functions, integrals

__all__ = [
    "bessel",
    "distributions",
    "elementary",
    "elliptic",
    "error_functions",
    "gamma_functions",
    "integrals",
]
