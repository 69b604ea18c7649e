"""Samples of functions that write into arrays, that make longer or shorter ones, and that count elements."""

from registry_samples.sample import Sample, over


def _change(call: str, start: str = "x") -> str:
    return f"changed({start}, lambda a: {call})"


WRITING = [
    *over([_change(call) for call in (
        "np.copyto(a, a * a)", "np.copyto(a, 0.5, where=a > 0)", "np.copyto(a, [0.5, 1.0, 2.0])",
        "np.putmask(a, a > 0, a * a)", "np.putmask(a, a > 0, [0.5, 0.2])", "np.place(a, a > 0, 0.5)",
        "np.place(a, np.array([[True, False, True], [True, True, False]]), [0.5, 0.2, 0.1])",
        "np.put(a, [0, -1], [a[1, 1], a[0, 1]])", "np.put(a, [7, -9], 0.5, mode='wrap')", "np.put(a, [7], 0.5, 'clip')",
        "np.put_along_axis(a, np.array([[0], [2]]), 0.5, 1)", "np.put_along_axis(a, np.array([[0, 1, 0]]), a[:1], 0)",
        "np.put_along_axis(a, np.array([0, 5]), [0.5, 0.1], None)",
        "np.fill_diagonal(a, 0.5)", "np.fill_diagonal(a, [a[1, 0], a[0, 1]])", "a.flat.__setitem__(1, 0.5)",
        "a.flat.__setitem__(slice(1, None, 2), a[0] * 2.0)", "setattr(a, 'flat', a[0])",
    )], [(2, 3)]),
    *over([_change("np.fill_diagonal(a, 0.5, wrap=True)"), _change("np.fill_diagonal(a, 0.5)")], [(5, 2)]),
    *over([_change("np.fill_diagonal(a, 0.5)")], [(2, 2, 2)]),
    *over([_change(f"np.{name}.at(a, {rest})") for name, rest in (
        ("add", "[0, 0, 2], a[:3] * 1"), ("subtract", "[0, 0, 2], [0.5, 0.1, 2.0]"), ("multiply", "[0, 0, 2], 2.0"),
        ("multiply", "[0, 0, 2], a[1:] * 1"), ("divide", "([1, 1],), [0.5, 2.0]"), ("maximum", "[0, 0], [0.1, 2.5]"),
        ("negative", "[0, 0, 1]"), ("exp", "[1, 1]"), ("power", "slice(1, 3), 2.0"),
    )], [(4,)]),
    *over([_change("np.add.at(a, [0, 0, 1], x)", "np.zeros(3, like=x)")], [(3,)]),
    *over(["x.flat[1]", "x.flat[1:4]", "np.stack(list(x.flat))", "x.flat[[0, 0, 5]]"], [(2, 3)]),
    *over(["np.array([x[0], x[1] * 2.0], like=x)", "np.array([[x[0], 1.0], [x[2], x[1]]], like=x)",
        "np.asarray([x, x * x], like=x)", "np.asarray(x, like=x)", "np.array(x, ndmin=2, like=x)",
        "np.array([1.0, 2.0, 3.0], like=x) * x", "np.asarray([1, 2, 3], like=x) * x", "np.asanyarray(x, like=x)",
        "np.require([x[0], x[1]], like=x)",
        "np.ascontiguousarray([x[0], x[2]], like=x)", "np.asfortranarray([x, x], like=x)",
        "np.fromiter((x[k] for k in range(2)), np.float64, like=x)", "np.tri(3, like=x) * x",
        "np.fromfunction(lambda i: 2.0 * i, (3,), like=x) * x"], [(3,)]),
    *over([_change("a.__setitem__(0, x[1])", "np.array([1.0, 2.0], like=x)")], [(3,)]),
]  # fmt: skip

_PADS = [
    "2, mode='edge'", "(1, 2), mode='reflect'", "5, mode='reflect'", "((0, 1), (2, 0)), mode='symmetric'",
    "2, mode='wrap'", "1, constant_values=0.5", "((1, 0), (0, 2)), constant_values=((0.5, 1.0), (2.0, 3.0))",
    "1, mode='linear_ramp'", "(2, 1), mode='linear_ramp', end_values=(0.5, -1.0)", "(1, 2), mode='maximum'",
    "2, mode='minimum', stat_length=1", "(1, 1), mode='mean'", "1, mode='mean', stat_length=((1, 2), (2, 2))",
    "1, mode='median'", "2, mode='reflect', reflect_type='odd'", "5, mode='symmetric', reflect_type='odd'",
    "1, mode='reflect', reflect_type='even'", "0, mode='edge'",
]  # fmt: skip


EXTENDING = [
    *over([f"np.pad(x, {rest})" for rest in _PADS], [(2, 3)]),
    *over(["np.pad(x, 7, mode='reflect', reflect_type='odd')", "np.pad(x, 3, 'symmetric')", "np.pad(x, (0, 2), 'mean')",
        "np.pad(x, 1, constant_values=x[0])", "np.pad(x, 1, 'linear_ramp', end_values=x[1])",
        "np.pad(x, (1, 2), lambda line, width, axis, given: line.__setitem__(slice(None, 1), 2.0 * line[1]))",
        "np.pad(x, [1])"], [(3,)]),
    *over(["windows(x, 2)", "windows(x, (2,), axis=0)"], [(4,)]),
    *over(["windows(x, (2, 2))", "windows(x, 2, axis=1)", "windows(x, (1, 2), (-1, -1))"], [(3, 4)]),
    # what sums windows up: of more windows than elements in one, of fewer, and along one axis twice
    *over(["fold(x, lengths=(2,), axes=(0,))"], [(3, 2), (1, 2)]),
    *over(["fold(x, lengths=(2, 2), axes=(0, 1))", "fold(x, lengths=(2, 2), axes=(1, 1))"], [(2, 1, 2, 2)]),
    *over([f"np.resize(x, {shape})" for shape in ("(2, 2)", "7", "(2, 4)", "0")], [(2, 3)]),
    *over(["np.resize(x, (2, 2))"], [(0,)]),
    *over([f"np.insert(x, {rest})" for rest in ("1, 0.5", "[0, 2], [x[1, 1], x[0, 0]]", "1, 0.5, axis=1",
        "1, x[0], axis=0", "[1], x[:, :1], axis=1", "slice(0, 2), 0.5, 1", "-1, [0.5, 0.1]", "1, x[:, 0], axis=1",
        "[0, 0, 2], [0.1, 0.2, 0.3], 1", "np.array([0, 2]), 0.5, 1")], [(2, 3)]),
    Sample("np.insert(x, 1, y)", x=(3,), y=()),
    *over([f"np.delete(x, {rest})" for rest in ("1", "[0, 4]", "1, axis=1", "[0, 2], 1", "slice(0, 2), 1",
        "-1, 0")], [(2, 3)]),
    *over(["np.trim_zeros(np.pad(x, 2))", "np.trim_zeros(np.pad(x, 2), 'f')", "np.trim_zeros(np.pad(x, 2), 'b')"],
        [(3,)]),
]  # fmt: skip

TALLIES = [
    *over(["np.unique(x)", "np.histogram(x, 2, (0.0, 1.0))[1]"], [(0,)]),
    *over(["np.bincount([0, 2, 2], weights=x)", "np.bincount(np.array([0, 2, 2]), x, minlength=5)"], [(3,)]),
    *over(["np.histogram([0.5, 1.5, 1.7, 9.0], 3, weights=x)[0]", "np.histogram(x, 3)[1]",
        "np.histogram([0.5, 1.5, 1.7, 2.5], [0.0, 1.0, 2.0, 4.0], weights=x, density=True)[0]",
        "np.histogram(x, 2, density=True)[0]", "np.histogram([0.5, 1.5, 1.7, 9.0], 2, (0.0, 3.0), weights=x)[0]",
        "np.histogram_bin_edges(x, 4)"], [(4,)]),
    Sample("np.histogram(x, 3, weights=y)[0]", x=(5,), y=(5,)),
    Sample("np.histogram2d(x, y, 2)[1]", x=(5,), y=(5,)),
    *over(["np.histogram2d([0.5, 1.5, 1.7], [0.1, 0.2, 0.9], 2, weights=x)[0]",
        "np.histogram2d([0.5, 1.5, 1.7], [0.1, 0.2, 0.9], [[0.0, 1.0, 2.0], 2], density=True, weights=x)[0]",
        "np.histogramdd(np.arange(6.0).reshape(3, 2), (2, 3), weights=x)[0]",
        "np.histogramdd([x, x * x, x], 2)[1]"], [(3,)]),
    *over(["np.unique(x)", "np.unique(np.concatenate([x, x * 1]))", "np.unique(x, return_index=True)[0]",
        "np.unique_values(x)", "np.unique_counts(x)[0]", "np.unique_inverse(x)[0]", "np.unique_all(x)[0]"],
        [(4,), (2, 3)]),
    *over(["np.unique(np.concatenate([x, x]), axis=0)", "np.unique(x, axis=1)"], [(2, 3)]),
    *over(["np.union1d(x, [0.5, 1.0])", "np.setdiff1d(x, [0.5])", "np.setxor1d(x, np.concatenate([x[:1], [0.5]]))",
        "np.intersect1d(x, x[1:])", "np.intersect1d(x, x[:2] * 1)"], [(3,)]),
]  # fmt: skip

PLACING = WRITING + EXTENDING + TALLIES
