"""Samples of scipy.special: a call of every ufunc that has a rule, away from poles and edges.

They are not among `SAMPLES`, which many tests run: what elementwise functions have in common is tested on NumPy's.
"""

import re

import scipy.special

from registry_samples.sample import Sample
from shared.scipy import special

assert special.__all__  # which declares the rules

#: Calls of x, y, z, w, which are positive: 0.3 to 2
_POSITIVE = """
exp2(x) exp10(x) expm1(x) log1p(x) cbrt(x) exprel(x) exprel(-30*x) cosm1(x) sindg(9*x) cosdg(9*x) tandg(9*x) cotdg(9*x)
radian(x,y,z) expit(3*x) logit(0.4*x) log_expit(-3*x) log_expit(30*x)
xlogy(x,y) xlog1py(x,y) entr(x) rel_entr(x,y) kl_div(x,y)
huber(0.5*x,3+y) huber(3+x,-y) pseudo_huber(x,y) pseudo_huber(x,-9*y) powm1(x,y)
boxcox(x,0.4*y) boxcox(x,-3*y) boxcox(4+x,y) boxcox1p(x,0.4*y) boxcox1p(x,-3*y)
inv_boxcox(x,0.1*y) inv_boxcox(x,y) inv_boxcox1p(x,0.1*y) inv_boxcox1p(x,-0.1*y)
erf(x) erfc(x) erfi(x) erfcx(x) erfcx(-x) erfcx(9*x) erfinv(0.4*x) erfcinv(0.6*x) dawsn(x) ndtr(x) ndtri(0.4*x)
log_ndtr(x) log_ndtr(-9*x) log_ndtr(9*x) ndtri_exp(-x) ndtri_exp(-99*x) fresnel(x) voigt_profile(x,y,z) owens_t(x,y)
gamma(x) gamma(-0.2*x) gammaln(x) gammaln(-0.4*x) loggamma(x) rgamma(x) rgamma(-0.2*x) psi(x) psi(-0.2*x)
poch(x,y) beta(x,y) betaln(x,y) betaln(x,0.01*y) binom(4+x,y) zeta(1+x,y) zeta(1+x) zetac(1+x)
gammainc(x,y) gammainc(9*x,y) gammainc(x,9*y) gammaincc(x,y) gammaincinv(x,0.4*y) gammainccinv(x,0.4*y)
chdtr(x,y) chdtrc(x,y) chdtri(x,0.4*y) chdtriv(0.4*x,y) gdtr(x,y,z) gdtrc(x,y,z) gdtrix(x,y,0.4*z)
gdtria(0.4*x,y,z) gdtrib(x,0.4*y,z) pdtr(2,x) pdtrc(2,x) pdtri(2,0.4*x) pdtrik(0.4*x,4+y)
betainc(x,y,0.4*z) betainc(9*x,y,0.4*z) betaincc(x,y,0.4*z) betaincinv(x,y,0.4*z) betainccinv(x,y,0.4*z)
btdtria(0.4*x,y,0.4*z) btdtrib(x,0.4*y,0.4*z) bdtr(2,5,0.4*x) bdtrc(2,5,0.4*x) bdtri(2,5,0.4*x)
nbdtr(2,5,0.4*x) nbdtrc(2,5,0.4*x) nbdtri(2,5,0.4*x) fdtr(x,y,z) fdtrc(x,y,z) fdtri(x,y,0.4*z)
fdtridfd(1+x,0.5+0.02*y,1.2+0.1*z) stdtr(x,y) stdtr(x,-y) stdtrit(x,0.4*y) stdtridf(0.85+0.01*x,1.4+0.1*y)
chndtr(x,3,y) chndtrix(0.4*x,3,y) chndtrinc(3+x,3,0.1*y) nrdtrimn(0.3*x,y,z) nrdtrisd(x,0.1*y,3+z) tklmbda(0.3*x,y)
kolmogorov(x)
jv(2.5,x) yv(2.5,x) iv(2.5,x) ive(2.5,x) kv(x,y) kve(x,y) jve(2.5,x) yve(2.5,x) kn(2,x) yn(2,x) hankel1(2.5,x)
hankel2(2.5,x) hankel1e(2.5,x) hankel2e(2.5,x)
j0(x) j1(x) y0(x) y1(x) i0(x) i1(x) k0(x) k1(x) i0e(x) i1e(x) k0e(x) k1e(x) i0e(-x) i1e(-x) ive(2,-x)
ber(x) bei(x) ker(x) kei(x) berp(x) beip(x) kerp(x) keip(x) struve(1.5,x) modstruve(1.5,x)
wright_bessel(0.5,1.5,x) pbdv(1.5,x) pbvv(1.5,x) pbwa(1.5,x) lpmv(1,2.5,0.4*x)
airy(x) airy(-x) airye(x) itj0y0(x) iti0k0(x) it2j0y0(x) it2i0k0(x)
itstruve0(x) it2struve0(x) itmodstruve0(x)
expi(x) exp1(x) expn(3,x) expn(0,x) sici(x) shichi(x) spence(x) spence(3+x) wrightomega(x) wrightomega(-x)
hyp0f1(1.5,x) hyp1f1(0.5,1.5,x) hyp1f1(0.5,1.5,-x) hyp2f1(0.5,0.7,1.5,0.4*x) hyp2f1(0.5,0.7,1.5,-3*x) hyperu(0.5,1.5,x)
eval_jacobi(3,0.5,1.5,0.4*x) eval_legendre(4,0.4*x) eval_legendre(0,x) eval_sh_legendre(4,0.4*x)
eval_gegenbauer(3,0.5,0.4*x) eval_chebyt(4,0.4*x) eval_chebyu(3,0.4*x) eval_chebyc(3,x) eval_chebys(3,x)
eval_sh_chebyt(3,0.4*x) eval_sh_chebyu(3,0.4*x) eval_genlaguerre(3,0.5,x) eval_laguerre(3,x) eval_hermite(3,x)
eval_hermitenorm(3,x) eval_sh_jacobi(3,2.5,1.5,0.4*x)
ellipk(0.4*x) ellipk(-9*x) ellipkm1(0.4*x) ellipe(0.4*x) ellipkinc(x,0.2*y) ellipkinc(-4*x,0.4*y) ellipeinc(x,0.2*y)
ellipj(x,0.4*y) agm(x,y) elliprc(x,y) elliprd(x,y,z) elliprf(x,y,z) elliprg(x,y,z) elliprj(x,y,z,w)
"""

#: Calls of which the second derivative is refused, or takes long
_FIRST_ORDER = """
smirnov(3,0.4*x) smirnovi(3,0.4*x)
bdtrin(x,0.4*y,0.2*z) nbdtrik(0.4+0.2*x,2+y,0.2*z) nbdtrin(2+x,0.4*y,0.4*z)
"""


def _samples(text: str, domain: str = "positive", prefix: str = "scipy_special") -> list[Sample]:
    return [Sample(f"{prefix}.{call}", domain=domain, **_arguments(call)) for call in text.split()]


def _arguments(call: str) -> dict[str, tuple[int]]:
    """The names among x, y, z, w that a call has, each an array of three numbers."""
    return {name: (3,) for name in "xyzw" if re.search(rf"\b{name}\b", call[call.index("(") :])}


#: The functions that stand in place of SciPy's, and what their values are compared with
REPLACED = """
polygamma(0,x) polygamma(2,x) polygamma([0,1,2],x) multigammaln(2+x,3) comb(4+x,y) comb(x,2+y)
perm(4+x,y) factorial(x) factorial(-x) spherical_jn(2,x) spherical_yn(2,x) spherical_in(2,x) spherical_kn(2,x)
spherical_jn(2,x,True) spherical_yn(2,x,True)
spherical_in(2,x,True) spherical_kn(2,x,True)
"""


#: Of arguments of which earlier versions of SciPy have no values, or others
BEYOND = """
comb(x,y,repetition=True) spherical_jn(1,-x) spherical_yn(2,-x) spherical_in(1,-x) spherical_jn(2,-x,True)
"""

SCIPY_SPECIAL = _samples(_POSITIVE) + _samples(f"{REPLACED} {BEYOND}", prefix="own_special")
SCIPY_SPECIAL_FIRST_ORDER = _samples(_FIRST_ORDER)
SCIPY_SPECIAL_CONSTANTS = _samples("gammasgn(x) round(x)")
#: What rules are written with
_INNER = """
elementary.RATIO(x,y) elementary.LOG_RATIO(x,y) gamma_functions.ZETA_SLOPE(1+x,y,order=1)
gamma_functions.POLYGAMMA_DIFFERENCE(x,y,order=0) gamma_functions.POLYGAMMA_DIFFERENCE(0.01*x,y,order=1)
incomplete.GAMMA_WEIGHT(x,y) incomplete.BETA_WEIGHT(x,y,0.4*z,1-0.4*z) incomplete.GAMMA_SLOPE(x,y,order=2)
incomplete.BETA_SLOPE(x,y,0.4*z,1-0.4*z,order=(1,1)) elliptic.SYMMETRIC(x,y,z,w,exponents=(0.5,0.5,1.5,1.0))
error_functions.SCALED_REPEATED_INTEGRAL(x,order=2) orders.MACDONALD(x,y,order=2,scaled=True)
orders.MACDONALD(x,y,order=1,scaled=False)
"""
SCIPY_SPECIAL += [Sample(call, domain="positive", **_arguments(call)) for call in _INNER.split()]
#: Holomorphic functions of complex arguments
SCIPY_SPECIAL_COMPLEX = _samples(
    """
    expm1(x) log1p(x) xlogy(x,y) xlog1py(x,y) erf(x) erfc(x) erfi(x) erfcx(x) dawsn(x) wofz(x) ndtr(x) log_ndtr(x)
    fresnel(x) gamma(x) loggamma(x) rgamma(x) jv(2.5,x) yv(2.5,x) iv(2.5,x) kv(2.5,x) kve(2.5,x) hankel1(2.5,x)
    hankel2(2.5,x) hankel1e(2.5,x) hankel2e(2.5,x) airy(x) expi(x) exp1(x) sici(x) shichi(x) spence(x) lambertw(x)
    wrightomega(x) hyp0f1(1.5,x) hyp2f1(0.5,0.7,1.5,0.3*x) psi(x) psi(-9*x)
    """,
    "complex",
)
SCIPY_SPECIAL_COMPLEX += [Sample("gamma_functions.COMPLEX_POLYGAMMA(x,order=1)", domain="complex", x=(3,))]
# SciPy 1.13 has another value.
if scipy.special.hyp1f1(0.7, 2.2, 1j) != 1:
    SCIPY_SPECIAL_COMPLEX += _samples("hyp1f1(0.7,2.2,x)", "complex")
#: A real argument and a complex result
SCIPY_SPECIAL_COMPLEX += _samples("lambertw(x) wofz(x) kelvin(x)")
#: What else has a rule: which are reached by derivatives alone, and those whose values SciPy gives to few digits
_REACHED = _samples("itairy(x) kolmogi(0.4*x) bdtrik(0.4*x,9+y,0.4*z)") + _samples(
    "_spherical_jn(2,x)", prefix="ufuncs"
)
ALL = [
    *SCIPY_SPECIAL, *SCIPY_SPECIAL_FIRST_ORDER, *SCIPY_SPECIAL_CONSTANTS, *SCIPY_SPECIAL_COMPLEX, *_REACHED,
]  # fmt: skip
