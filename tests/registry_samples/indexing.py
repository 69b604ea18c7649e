"""Samples of reading elements: every basic and advanced index, alone and mixed, and what indexes."""

import numpy as np

from registry_samples.sample import Sample, over

MASK = "np.array([[True, False, True], [False, True, True]])"

#: indices of an array of shape (4,)
ONE_AXIS = [
    "0", "-1", "np.int64(2)", "np.array(1)", "1:3", "::2", "::-1", "-2:", "3:0:-2", "2:2", "...", "None", ":",
        "()",
    "..., 1", "1, ...", "None, 2", "2, None", "None, ..., None", "1:, None", "(1,)", "np.array([0, 2])",
        "[3, 1, 1]",
    "[0]", "[]", "np.array([[0, 1], [2, 0]])", "np.array([-1, -1, 0])", "[True, False, True, False]",
    "np.array([False, False, False, False])", "np.array([0, 1]), None", "None, [0, 3]", "True", "False",
        "np.True_",
]  # fmt: skip

#: indices of an array of shape (2, 3)
TWO_AXES = [
    "0", "-1", "1, 2", "-1, 0", ":, 1", "1, :", "..., 0", "0, ...", "1:, ::-1", "::-1, ::-2", ":, None, 1",
        "None",
    "[1, 0]", "[0, 0, 1]", ":, [2, 0]", ":, [1, 1]", "[1], [2]", "[0, 1, 0], [2, 1, 2]", "[[0], [1]], [0, 2]",
    "np.ix_([0, 1], [2, 0])", "1, [0, 2]", "[0, 1], 1", "[0, 1], 1:", "1:, [0, 2, 2]", "None, [0, 1]",
        "[0, 1], None",
    MASK, f"~{MASK}", "np.array([True, False])", ":, np.array([True, False, True])",
        "np.array([False, True]), 1:",
    "np.array([True, True]), [0, 2]", "x > 0", "..., [0, 2]", "[0, 1], ...", "np.nonzero(x > 0)",
        "0, np.argsort(x[0])",
]  # fmt: skip

#: indices of an array of shape (2, 3, 2): where the axes of advanced indices go depends on what stands
#: between them
THREE_AXES = [
    "0, :, [1, 0, 1]", "[0, 1], :, [1, 0]", "[0, 1], [2, 1]", ":, [2, 0], [1, 1]", ":, [2, 0], None, [1, 1]",
    "..., [1, 0]", "[1, 0], ..., 0", "1, ..., 0", ":, ::-1, 1", "np.ones((2, 3), bool)",
        "[0, 1], np.array([True, False, True])",
    ":, np.array([[True, False], [False, True], [True, True]])", "None, 0, None, 1, None", "..., None, 0",
    "[[0], [1]], :, [[0, 1]]", "-1, -1, -1", "0, [0, 1], 1",
]  # fmt: skip

GETITEM = [
    *over([f"x[{index}]" for index in ONE_AXIS], [(4,)]),
    *over([f"x[{index}]" for index in TWO_AXES], [(2, 3)]),
    *over([f"x[{index}]" for index in THREE_AXES], [(2, 3, 2)]),
    *over(["x[()]", "x[...]", "x[None]", "x[True]", "x[..., None]"], [()]),
    *over(["x[()]", "x[...]", "x[None]"], [np.float64]),
    *over(["x[:0]", "x[::-1]", "x[[]]"], [(0,)]),
    Sample("x[0] * x[1] + x[2] * x[0]", x=(4,)),
    Sample("x[::2][::-1]", x=(4,)),
    Sample("x[1:][:, 1:]", x=(2, 3)),
    Sample("x[0][1]", x=(2, 3)),
    Sample("x[[0, 1, 1]][[2, 2, 0]]", x=(4,)),
    Sample("x[np.argmax(x)] * x", x=(4,)),
]

FUNCTIONS = [
    *over(["np.take(x, 2)", "np.take(x, [0, 5, 5])", "np.take(x, [[0, 1], [2, 0]])", "np.take(x, -1)"], [(2, 3)]),
    *over(["np.take(x, 1, axis=0)", "np.take(x, [2, 0, 0], axis=1)", "np.take(x, [[0, 1], [1, 0]], axis=-1)"],
        [(2, 3)]),
    *over(["np.take(x, np.array([1, 0]), 0)", "np.take(x, indices=[1], axis=1)"], [(2, 3)]),
    *over(["np.take(x, [5, -7, 1], mode='wrap')", "np.take(x, [5, -7, 1], mode='clip')"], [(4,)]),
    *over(["np.take(x, [5, 1], axis=1, mode='clip')"], [(2, 3)]),
    *over(["np.take_along_axis(x, np.argsort(x, axis=1), axis=1)",
        "np.take_along_axis(x, np.array([[0, 1, 0]]), 0)"], [(2, 3)]),
    *over(["np.take_along_axis(x, np.array([[2, 2], [0, 1]]), axis=-1)",
        "np.take_along_axis(x, np.array([4, 0, 0]), None)"], [(2, 3)]),
    *over(["np.take_along_axis(x, np.array([1, 3, 3]), 0)", "np.take_along_axis(x, np.array([1, 0]))"],
        [(4,)]),
    *over(["np.compress([True, False, True], x, axis=1)", "np.compress([False, True], x, 0)",
        "np.compress([1, 0, 1], x)"], [(2, 3)]),
    *over(["np.take(x, [])", "np.take(x, [], axis=1)", "np.take(x, [[]], 0, mode='clip')"], [(2, 3)]),
    *over([f"np.extract({MASK}, x)", "np.extract(x > 0, x)"], [(2, 3)]),
]  # fmt: skip

INDEXING = GETITEM + FUNCTIONS
