"""Samples of the functions that stand for SciPy's transforms, filters and products with sparse matrices."""

from registry_samples.sample import Sample, over

TRANSFORMS = [
    *over([f"fft.{name}(x, {kind})" for name in ("dct", "dst") for kind in (1, 2, 3, 4)], [(4,)]),
    *over([f"fft.{name}(x, {kind})" for name in ("idct", "idst") for kind in (1, 2, 3)], [(4,)]),
    *over(["fft.dct(x, norm='ortho')", "fft.dct(x, 3, norm='forward')", "fft.idct(x, 1, norm='ortho')",
        "fft.dst(x, 3, norm='ortho', orthogonalize=False)", "fft.dct(x, 1, orthogonalize=True)",
        "fft.dct(x, n=3, axis=0)", "fft.dst(x, n=5)"], [(4, 2)]),
    *over(["fft.dctn(x)", "fft.idctn(x, 1, norm='ortho')", "fft.dstn(x, 4, axes=1)", "fft.idstn(x, s=(2, 4))"],
        [(3, 3)]),
    *over(["np.abs(fft.fft(x))", "fft.irfft(x)", "np.abs(fft.rfftn(x, s=(2, 2)))", "np.abs(fft.fft2(x, norm='ortho'))",
        "fft.hfft(x)"], [(3, 3)]),
]  # fmt: skip

SIGNALS = [
    *(Sample(f"signal.{call}", x=x, y=y) for call, x, y in (
        ("convolve(x, y)", (4,), (3,)), ("convolve(x, y, mode='same')", (4,), (3,)),
        ("convolve(x, y, mode='valid')", (3,), (4,)), ("convolve(x, y, 'same', 'fft')", (3, 3), (2, 2)),
        ("fftconvolve(x, y, 'valid')", (3, 3), (2, 2)), ("correlate(x, y)", (4,), (3,)),
        ("correlate(x, y, 'same')", (3, 4), (2, 3)), ("correlate(x, y, 'valid')", (4,), (2,)),
        ("correlate(x, y, 'valid')", (2,), (4,)), ("lfilter(y, np.array([2.0, 0.3, -0.2]), x)", (4,), (2,)),
        ("lfilter(np.array([0.5, 1.0]), y + 3.0 * (np.arange(3) == 0), x, axis=0)", (4, 2), (3,)),
        ("lfilter(np.array([0.5, 1.0]), np.array([2.0, 0.3, -0.2]), x, zi=y)", (4,), (2,)),
    )),
    Sample("signal.lfilter(x, y + 3.0 * (np.arange(2) == 0), z)", x=(3,), y=(2,), z=(2,)),
    Sample("signal.lfilter(np.array([0.5, 1.0, 0.2]), [1.0, 0.4], x, zi=np.ones(2))", x=(1,)),
]  # fmt: skip

SPARSE = [
    *over(["CSR @ x", "CSC @ x", "x.T @ CSR.T", "CSR.dot(x)", "sparse.matmul(CSR, x)", "COO @ x"], [(3,), (3, 2)]),
    *over(["x @ CSC.T", "CSR.T @ x[:2]"], [(3,)]),
    *(Sample(f"sparse.with_data({matrix}, x) @ y", x=(4,), y=y) for matrix in ("CSR", "CSC", "COO") for y in
        ((3,), (3, 2))),
    Sample("y @ sparse.with_data(CSR, x)", x=(4,), y=(2, 2)),
    Sample("sparse.with_data(CSR, x).toarray() * sparse.with_data(CSC, x).T.toarray().T", x=(4,)),
    *over(["solving.spsolve(SQUARE, x)", "solving.splu(SQUARE).solve(x, 'T')", "solving.splu(SQUARE.tocsc()).solve(x)",
        "solving.factorized(SQUARE)(x)"], [(3,), (3, 2)]),
    *(Sample(f"solving.spsolve(sparse.with_data({matrix}, x + DIAGONAL), y)", x=(5,), y=y)
        for matrix, y in (("SQUARE", (3,)), ("SQUARE", (3, 2)))),
    Sample("solving.splu(sparse.with_data(SQUARE, x + DIAGONAL).T).solve(y, 'H')", x=(5,), y=(3,)),
]  # fmt: skip

SCIPY_TRANSFORMS_COMPLEX = [
    *over(["fft.dct(x)", "signal.lfilter([1.0], [2.0, 1j], x)", "CSR @ x", "solving.spsolve(SQUARE, x)",
        "signal.convolve(x, 1j * x)", "signal.lfilter([1.0, 2.0], [2.0, 1.0], x)"], [(3,)], "complex"),
    Sample("signal.correlate(x, y)", x=(3,), y=(2,), domain="complex"),
    Sample("solving.splu(SQUARE).solve(x, 'H')", x=(3,), domain="complex"),
    Sample("solving.spsolve(sparse.with_data(SQUARE, x + DIAGONAL), y)", x=(5,), y=(3,), domain="complex"),
    Sample("solving.splu(sparse.with_data(SQUARE, x + DIAGONAL)).solve(y, 'H')", x=(5,), y=(3,), domain="complex"),
    Sample("sparse.with_data(CSC, x) @ y", x=(4,), y=(3,), domain={"x": "complex"}),
]  # fmt: skip

SCIPY_TRANSFORMS = [*TRANSFORMS, *SIGNALS, *SPARSE]
