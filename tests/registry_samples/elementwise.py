"""Samples of NumPy's elementwise functions: every one over every broadcast shape, and Python's operators."""

import numpy as np

from registry_samples.sample import Sample, over

UNARY = {
    "spread": (
        "negative positive square reciprocal cbrt exp exp2 expm1 sin cos tan arctan sinh cosh tanh arcsinh "
        "degrees rad2deg radians deg2rad fabs absolute conjugate real imag sinc copy modf nan_to_num"
    ),
    "positive": "sqrt log log2 log10 log1p",
    "unit": "arcsin arccos arctanh",
    "above one": "arccosh",
}
UNARY_SHAPES = [(2, 3), (), float, np.float64, (0,)]

BINARY = {
    "spread": (
        "add subtract multiply divide hypot arctan2 logaddexp logaddexp2 maximum minimum fmax fmin copysign nextafter "
        "heaviside"
    ),
    "positive": "power float_power",
}
REMAINDERS = "remainder fmod divmod"
QUOTIENT = {"x": "halves", "y": "near one"}
BINARY_SHAPES = [
    ((2, 3), (2, 3)),
    ((3,), (2, 3)),
    ((2, 3), (3,)),
    ((), (2, 3)),
    ((2, 3), ()),
    ((1, 3), (2, 3)),
    ((2, 1), (1, 3)),
    ((0, 3), (3,)),
    (np.float64, (3,)),
    (float, (2, 3)),
    ((2, 3), float),
    (np.float64, float),
    (float, float),
]

OPERATORS = ["x + y", "x - y", "x * y", "x / y", "x ** y"]
QUOTIENT_OPERATORS = ["x % y", "x // y + x", "divmod(x, y)[1]"]

ELEMENTWISE = [
    *(
        Sample(f"np.{name}(x)", x=shape, domain=domain)
        for domain, names in UNARY.items()
        for name in names.split()
        for shape in UNARY_SHAPES
        if not (name == "nan_to_num" and shape is float)
    ),
    *(
        Sample(f"np.{name}(x, y)", x=x, y=y, domain=domain)
        for domain, names in BINARY.items()
        for name in names.split()
        for x, y in BINARY_SHAPES
    ),
    *(Sample(f"np.{name}(x, y)", x=x, y=y, domain=QUOTIENT) for name in REMAINDERS.split() for x, y in BINARY_SHAPES),
    *(Sample(operator, x=x, y=y, domain="positive") for operator in OPERATORS for x, y in BINARY_SHAPES),
    *(Sample(operator, x=x, y=y, domain=QUOTIENT) for operator in QUOTIENT_OPERATORS for x, y in BINARY_SHAPES),
    *over(["-x", "+x", "abs(x)", "2 - x", "3.0 / x", "x + 1", "1 + x", "x * 2.5", "x - 1.5"], UNARY_SHAPES),
    *over(
        ["x ** 0", "x ** 1", "x ** 2", "x ** 3", "x ** -1", "x ** -2.0", "x ** 2.0", "2.0 ** x"],
        UNARY_SHAPES,
    ),
    *over(["x ** 0.5", "x ** 1.7", "x ** -0.5"], UNARY_SHAPES, "positive"),
    *over(
        ["np.power(x, 0)", "np.power(x, 2)", "np.power(x, 3.0)", "np.power(2.0, x)", "np.square(x) ** 2"],
        UNARY_SHAPES,
    ),
    Sample("np.power(x, np.array([0, 1, 2]))", x=(2, 3)),
    Sample("np.power(x, np.array([0.0, -1.0, 3.0]))", x=(3,)),
    Sample("np.power(x, np.float32(2.0))", x=(3,)),
    Sample("np.float_power(x, 3)", x=(3,)),
    Sample("x ** np.array([2, 3, 1])", x=(3,)),
    Sample("np.array([1.0, 2.0, 3.0]) * x", x=(2, 3)),
    Sample("np.array([1.0, 2.0, 3.0]) - x", x=()),
    Sample("np.float64(2.0) * x", x=(3,)),
    Sample("np.float64(2.0) / x", x=float),
    Sample("np.array(2.0) ** x", x=(3,)),
    Sample("np.array([2, 3, 4]) + x", x=(2, 3)),
    Sample("x * np.array([True, False, True])", x=(3,)),
    Sample("x + [1.0, 2.0, 3.0]", x=(2, 3)),
    Sample("[1, 2, 3] * x", x=(2, 3)),
    Sample("np.add(x, x)", x=(3,)),
    Sample("x * x * x", x=(3,)),
    Sample("x / x", x=(3,)),
    Sample("x - x.T", x=(3, 3)),
    Sample("np.ldexp(x, np.array([1, -2, 3]))", x=(2, 3)),
    Sample("np.ldexp(x, 2)", x=float),
    Sample("np.true_divide(x, y)", x=(3,), y=(2, 3)),
    Sample("np.mod(x, y)", x=(3,), y=(2, 3), domain=QUOTIENT),
    Sample("np.abs(x)", x=(3,)),
    Sample("np.nan_to_num(np.where(np.array([True, False, True]), x, np.nan), nan=1.0)", x=(3,)),
    Sample("np.nan_to_num(np.where(np.array([True, False, True]), x, -np.inf), neginf=0.0)", x=(3,)),
    Sample("np.nan_to_num(np.where(np.array([True, False, True]), x, np.inf), posinf=0.5)", x=(3,)),
    Sample("np.clip(x, -1.0, 1.0)", x=(2, 3)),
    Sample("np.clip(x, 0.1, None)", x=(2, 3)),
    Sample("np.clip(x, None, 0.1)", x=(2, 3)),
    *over(["np.clip(x, None, None)"], [(2, 3), (), float]),
    Sample("np.clip(x, y, 1.0)", x=(2, 3), y=(3,)),
    Sample("np.clip(x, a_min=-1.0, a_max=y)", x=(2, 3), y=float),
    Sample("np.clip(x, min=-1.0, max=1.0)", x=(2, 3)),
    Sample("np.clip(0.7, x, 5.0)", x=(3,)),
    Sample("np.clip(x, -1, 1)", x=float),
    *over(["np.clip(x, -1.0, 1.0, dtype=np.float64)", "np.clip(x, -1.0, 1.0, casting='unsafe')"], [(2, 3)]),
    Sample("np.where([1, 0, 1], np.clip(x, -1.0, 1.0, where=np.array([True, False, True])), 0.0)", x=(2, 3)),
    Sample("np.clip(np.array([0.5, 1.5, 1.0]), x, y)", x=(3,), y=(3,), domain={"x": "unit", "y": "above one"}),
    Sample("np.modf(x)[0] * y", x=(3,), y=(3,)),
    *over(["np.frexp(x)[0]", "np.i0(x)", "np.real_if_close(x)"], [(2, 3), ()]),
    *over(["np.i0(9.0 * x)", "np.angle(x + 0.5j)", "np.angle(x - 1j, deg=True)", "np.real_if_close(x + 0j)"], [(2, 3)]),
    Sample("np.fmax(x, np.array([np.nan, 0.1, 5.0]))", x=(3,)),
    Sample("np.fmin(np.array([np.nan, 0.1, 5.0]), x)", x=(2, 3)),
    Sample("np.maximum(x, 0.1)", x=(2, 3)),
    Sample("np.minimum(0, x)", x=(2, 3)),
]

#: The same calls as some above, of other numbers.
OTHER_DOMAINS = [Sample("np.power(x, y)", x=(2, 3), y=(2, 3), domain={"x": "above one"})]

#: Functions of complex arguments.  Differences move them along a complex tangent, as a real direction.
COMPLEX = [
    *over(
        ["np.conjugate(x)", "np.real(x)", "np.imag(x)", "np.absolute(x)", "np.exp(x)", "np.sum(x * x)",
            "x.real", "x.imag"],
        [(3,), ()],
        "complex",
    ),
    *(
        Sample(f"{expression}", x=(2, 3), y=(3,), domain=domain)
        for expression in ("x + y", "x * y", "x / y", "x - y", "x @ y", "np.where([True, False, True], x, y)")
        for domain in ("complex", {"x": "complex"}, {"y": "complex"})
    ),
    Sample("np.concatenate([x, y])", x=(2,), y=(3,), domain={"x": "complex"}),
    Sample("np.vdot(x, y)", x=(3,), y=(3,), domain="complex"),
    *over(["np.angle(x)", "np.angle(x, True)", "np.real_if_close(x)", "np.sort_complex(x)"], [(3,)], "complex"),
    *([Sample("np.vecmat(x, y)", x=(2,), y=(2, 3), domain="complex")] if hasattr(np, "vecmat") else []),
    Sample("np.vecdot(x, y)", x=(3,), y=(3,), domain="complex"),
    Sample("np.linalg.norm(x)", x=(3,), domain="complex"),
    Sample("np.var(x)", x=(3,), domain="complex"),
    Sample("np.std(x)", x=(3,), domain="complex"),
    Sample("x.astype(complex) * y", x=(3,), y=(3,), domain={"y": "complex"}),
    Sample("np.linalg.inv(x)", x=(2, 2), domain="complex"),
    Sample("np.linalg.solve(x, y)", x=(2, 2), y=(2,), domain="complex"),
    Sample("np.linalg.det(x)", x=(2, 2), domain="complex"),
    Sample("np.prod(x)", x=(3,), domain="complex"),
    Sample("np.square(x)", x=(3,), domain="complex"),
    Sample("np.tanh(x)", x=(3,), domain="complex"),
    Sample("np.log(x)", x=(3,), domain="complex"),
    Sample("np.sqrt(x)", x=(3,), domain="complex"),
    Sample("np.sin(x) + np.cos(x)", x=(3,), domain="complex"),
    Sample("x ** 2", x=(3,), domain="complex"),
    Sample("x ** 3.0", x=(3,), domain="complex"),
    Sample("np.cumsum(x)", x=(3,), domain="complex"),
    Sample("np.mean(x, axis=0)", x=(2, 3), domain="complex"),
    Sample("np.einsum('ij,j->i', x, y)", x=(2, 3), y=(3,), domain={"x": "complex"}),
    Sample("x[1:]", x=(3,), domain="complex"),
    Sample("x.conj() * x", x=(3,), domain="complex"),
]  # fmt: skip
