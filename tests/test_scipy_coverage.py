"""Every public function of scipy.special, and what this library makes of it: the page docs/scipy-special.md.

`python -m tests.test_scipy_coverage` writes the page anew.  Rules and refusals are read off the registry; why anything
else has none is said in the tables below.  A function that is in none of them fails the test.
"""

from __future__ import annotations

import doctest
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy
import scipy.special as special

from shared import REGISTRY
from shared.core.primitive import Primitive
from shared.scipy import special as own
from shared.scipy.refused import REFUSED, arguments_of

PAGE = next(folder for folder in Path(__file__).resolve().parents if (folder / "pyproject.toml").exists()) / (
    "docs/scipy-special.md"
)
#: The version of SciPy that the page is written for
WRITTEN_FOR = "1.17"

#: Functions that are no ufuncs, by what becomes of them
NO_UFUNCS: dict[str, str] = {
    "calls ufuncs: has their derivatives": """
        zeta lambertw jvp yvp ivp kvp h1vp h2vp softplus""",
    "makes a polynomial of plain numbers, which has derivatives in its argument": """
        legendre chebyt chebyu chebyc chebys jacobi laguerre genlaguerre hermite hermitenorm gegenbauer sh_legendre
        sh_chebyt sh_chebyu sh_jacobi assoc_laguerre""",
    "takes plain arrays alone: use shared.logsumexp, shared.softmax, shared.log_softmax": """
        logsumexp softmax log_softmax""",
    "takes plain arrays or numbers alone": """
        assoc_legendre_p assoc_legendre_p_all legendre_p legendre_p_all sph_harm_y sph_harm_y_all sph_legendre_p
        sph_legendre_p_all diric factorial2 factorialk lmbda lqmn lqn obl_cv_seq pro_cv_seq pbdn_seq pbdv_seq pbvv_seq
        riccati_jn riccati_yn ellip_harm ellip_harm_2 ellip_normal""",
    "takes whole numbers, or makes plain numbers: zeros, nodes, coefficients": """
        ai_zeros bei_zeros beip_zeros ber_zeros bernoulli berp_zeros bi_zeros erf_zeros euler fresnel_zeros
        fresnelc_zeros fresnels_zeros jn_zeros jnjnp_zeros jnp_zeros jnyn_zeros kei_zeros keip_zeros kelvin_zeros
        ker_zeros kerp_zeros mathieu_even_coef mathieu_odd_coef stirling2 y0_zeros y1_zeros y1p_zeros yn_zeros ynp_zeros
        roots_legendre roots_chebyt roots_chebyu roots_chebyc roots_chebys roots_jacobi roots_laguerre
        roots_genlaguerre roots_hermite roots_hermitenorm roots_gegenbauer roots_sh_legendre roots_sh_chebyt
        roots_sh_chebyu roots_sh_jacobi p_roots t_roots u_roots c_roots s_roots j_roots l_roots la_roots h_roots
        he_roots cg_roots ps_roots ts_roots us_roots js_roots""",
    "settings": "geterr seterr errstate",
}

#: Ufuncs that could have a rule and have none
MISSING = """
    besselpoly chndtridf log_wright_bessel mathieu_a mathieu_b mathieu_cem mathieu_modcem1 mathieu_modcem2
    mathieu_modsem1 mathieu_modsem2 mathieu_sem modfresnelm modfresnelp ncfdtr ncfdtri ncfdtridfd ncfdtridfn ncfdtrinc
    nctdtr nctdtridf nctdtrinc nctdtrit obl_ang1 obl_ang1_cv obl_cv obl_rad1 obl_rad1_cv obl_rad2 obl_rad2_cv pro_ang1
    pro_ang1_cv pro_cv pro_rad1 pro_rad1_cv pro_rad2 pro_rad2_cv
"""


def public() -> dict[str, Any]:
    """The public functions of scipy.special, by name; its classes of errors are not among them."""
    named = {name: getattr(special, name) for name in sorted(special.__all__)}
    return {
        name: value
        for name, value in named.items()
        if not (isinstance(value, type) and issubclass(value, BaseException | Warning))
    }


def listed(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def status(name: str, function: Any) -> tuple[str, str]:
    """The kind of what becomes of a function, and the rest of it in words; empty if nobody has said."""
    if name in own.__all__:
        return "function of its own", f"takes plain arrays alone: use `shared.scipy.special.{name}`"
    for why, names in NO_UFUNCS.items():
        if name in names.split():
            return "no ufunc", why
    entry = REGISTRY.get(function)
    if entry is None:
        return ("no rule yet", "") if name in MISSING.split() else ("", "")
    if entry.form == "constant":
        return "constant", ""
    if not isinstance(function, np.ufunc):
        return "rule", f"that of `numpy.{name}`"
    names = arguments_of(function)
    refused = {names[k]: why for k in range(function.nin) if (why := REFUSED.get((function, k)))}
    edges = entry.edges if isinstance(entry, Primitive) else (True,) * function.nin
    constant = [names[k] for k in range(function.nin) if edges[k] is None]
    ruled = [one for one in names if one not in refused and one not in constant]
    words = f"in {listed(ruled)}"
    if constant:
        words += f"; {listed(constant)} constant"
    if refused:
        words += f"; refused in {listed(list(refused))}: {next(iter(refused.values()))}"
    return "rule", words


INTRODUCTION = f"""
# scipy.special

What becomes of every public function of scipy.special {WRITTEN_FOR} when it is given a traced value. Its ufuncs are
differentiated as they stand; the extra `scipy` of this package installs SciPy:

```pycon
>>> import numpy as np, reversead
>>> from scipy import special
>>> print(np.round(reversead.grad(special.gammainc, argnums=(0, 1))(2.0, 1.5), 6))
[-0.313489  0.334695]

```

A *rule* has derivatives of every order in the arguments that are named, in both engines, batched, recorded and
compiled. An argument that is *refused* raises a `NoRuleError` that names it, and only if it is differentiated: a
zero or a wrong number in its place would go unnoticed. A *constant* has derivative zero wherever it has one. Most
functions that are no ufuncs turn their arguments into plain arrays; some have a function of the same name and value
in [`shared.scipy.special`](../shared/scipy/special.py).

Where the domain of a function ends, and at branch points, a partial derivative is the limit from within the domain:
that of `entr` at 0 is infinite, those of `xlogy` at (0, 0) are minus infinity in `x` and 0 in `y`. Beyond the domain
and at poles it is NaN or infinite, as NumPy computes it. Of distributions of counts the derivative in a number of
successes, which SciPy rounds down, is zero.

The incomplete gamma and beta functions, and the distributions that are made of them, are differentiated in their
parameters by quadrature of one tail, which keeps the digits of far tails: the relative error is below 1e-11 for
parameters from 1e-3 to 1e4, and one such derivative costs some hundred times as much as the function. So are `kv`
and `kve` in their order. Degrees of freedom of `stdtr` beyond 1e4 lose digits, since the derivative in them is a
difference. `zeta` has derivatives in its first argument above -1, and NaN below. Second derivatives of `smirnov` and
`smirnovi` are refused.
"""


def page() -> str:
    """The text of the page, from the registry and the tables above."""
    found = {name: status(name, function) for name, function in public().items()}
    kinds = [kind for kind, _ in found.values()]
    return "\n".join(
        [
            *INTRODUCTION.strip().splitlines(),
            "",
            "| | functions |",
            "| --- | ---: |",
            *(f"| {kind} | {kinds.count(kind)} |" for kind in sorted(set(kinds))),
            "",
            "## Functions",
            "",
            "| function | | |",
            "| --- | --- | --- |",
            *(f"| `{name}` | {kind} | {words} |" for name, (kind, words) in found.items()),
            "",
            "`python -m tests.test_scipy_coverage` writes this page.",
            "",
        ]
    )


def version() -> str:
    return ".".join(scipy.__version__.split(".")[:2])


def test_every_public_function_is_accounted_for() -> None:
    assert [name for name, function in public().items() if not status(name, function)[0]] == []


def test_nothing_is_said_of_a_function_that_has_a_rule() -> None:
    said = [*MISSING.split(), *" ".join(NO_UFUNCS.values()).split()]
    assert [name for name in said if getattr(special, name, None) in REGISTRY] == []
    assert all(isinstance(getattr(special, name), np.ufunc) for name in MISSING.split() if hasattr(special, name))


def test_arguments_have_the_names_of_the_documentation() -> None:
    functions = {f for f in public().values() if isinstance(f, np.ufunc) and f in REGISTRY}
    assert [f.__name__ for f in functions if any(name.startswith("x0") for name in arguments_of(f))] == []
    assert all(len(arguments_of(f)) == f.nin for f in functions)


@pytest.mark.skipif(version() != WRITTEN_FOR, reason=f"the page is written for SciPy {WRITTEN_FOR}")
def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m tests.test_scipy_coverage"


def test_the_example_prints_what_the_page_says() -> None:
    assert doctest.testfile(str(PAGE), module_relative=False).failed == 0


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    sys.stdout.write(f"{PAGE} is written\n")
