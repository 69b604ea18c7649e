"""Every public function of NumPy, and what this library makes of it: the page docs/coverage.md, and that it is true.

`python -m tests.test_coverage` writes the page anew.  What has a rule is read off the registry; why anything has none
is said in the tables below.  A function that is in none of them fails the test, so a new version of NumPy shows itself.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shared import REGISTRY
from shared.core.duck_array import CREATION

PAGE = next(folder for folder in Path(__file__).resolve().parents if (folder / "pyproject.toml").exists()) / (
    "docs/coverage.md"
)
MODULES = {"numpy": np, "numpy.linalg": np.linalg, "numpy.fft": np.fft}

#: The version of NumPy that the page is written for, and what it lists that earlier ones do not have, or no longer.
WRITTEN_FOR = "2.4"
ABSENT: dict[str, set[str]] = {
    "2.0": {
        "numpy.cumulative_prod", "numpy.cumulative_sum", "numpy.matvec", "numpy.unstack", "numpy.vecmat",
    },
    "2.1": {"numpy.matvec", "numpy.vecmat"},
    "2.2": set(),
    "2.3": set(),
    "2.4": set(),
}  # fmt: skip
#: What earlier versions have and the page does not list
GONE: dict[str, set[str]] = {
    version: {"numpy.in1d", "numpy.trapz"} for version in ("2.0", "2.1", "2.2", "2.3")
} | {"2.4": set()}  # fmt: skip

#: Why a function has no derivative
WITHOUT_DERIVATIVE: dict[str, str] = {
    "takes integers": """
        numpy.lcm numpy.gcd numpy.bitwise_left_shift numpy.bitwise_right_shift numpy.left_shift numpy.right_shift
        numpy.bitwise_count numpy.packbits numpy.unpackbits numpy.ravel_multi_index numpy.unravel_index
        numpy.diag_indices_from numpy.tril_indices_from numpy.triu_indices_from numpy.ix_""",
    "takes dates": """
        numpy.busday_count numpy.busday_offset numpy.datetime_as_string numpy.datetime_data numpy.is_busday""",
    "makes text": "numpy.array2string numpy.array_repr numpy.array_str",
    "writes a file": "numpy.save numpy.savetxt numpy.savez numpy.savez_compressed",
    "asks for types": "numpy.common_type numpy.min_scalar_type",
    "plans a product: call numpy.einsum": "numpy.einsum_path",
}

#: Why NumPy does not ask the argument of a function what to do
CANNOT_DISPATCH: dict[str, str] = {
    "makes an array from nothing; with like=x NumPy asks x": """
        numpy.frombuffer numpy.fromfile numpy.fromfunction numpy.fromiter numpy.fromstring numpy.genfromtxt
        numpy.loadtxt numpy.tri""",
    "makes an array from numbers": """
        numpy.bartlett numpy.blackman numpy.diag_indices numpy.hamming numpy.hanning numpy.indices numpy.mask_indices
        numpy.tril_indices numpy.triu_indices numpy.fft.fftfreq numpy.fft.rfftfreq numpy.from_dlpack
        numpy.fromregex numpy.load""",
    "numpy.i0(x) has a rule: np.i0(beta * np.sqrt(1 - t**2)) / np.i0(beta)": "numpy.kaiser",
    "makes a plain array, which no traced value can be": """
        numpy.asarray_chkfinite numpy.asmatrix numpy.bmat""",
    "makes a function of objects": "numpy.frompyfunc",
    "asks for types or shapes": """
        numpy.broadcast_shapes numpy.get_include numpy.isdtype numpy.isfortran numpy.isscalar numpy.issubdtype
        numpy.iterable numpy.mintypecode numpy.promote_types numpy.typename""",
    "makes text of numbers": """
        numpy.base_repr numpy.binary_repr numpy.format_float_positional numpy.format_float_scientific""",
    "settings and information": """
        numpy.get_printoptions numpy.getbufsize numpy.geterr numpy.geterrcall numpy.info numpy.printoptions
        numpy.set_printoptions numpy.setbufsize numpy.seterr numpy.seterrcall numpy.show_config numpy.show_runtime
        numpy.test""",
    "iterates over the memory of arrays": "numpy.nested_iters",
    "use numpy.vstack, its new name": "numpy.row_stack",
}

#: What could have a rule and has none
MISSING = ""


def public(module: Any) -> dict[str, Callable[..., Any]]:
    """The public functions of a module, by name; its classes are not among them."""
    named = {name: getattr(module, name) for name in module.__all__}
    return {
        name: value
        for name, value in named.items()
        if callable(value) and not isinstance(value, (type, types.ModuleType))
    }


def reasons(table: dict[str, str]) -> dict[str, str]:
    return {name: why for why, names in table.items() for name in names.split()}


def status(name: str, function: Callable[..., Any]) -> str:
    """What the library makes of one function, in words; empty if nobody has said."""
    entry = REGISTRY.get(function)
    if entry is not None:
        form = "rule" if entry.form == "rule" else entry.form
        return {"elementwise": "rule, elementwise", "multilinear": "rule, multilinear"}.get(form, form)
    if name.startswith("numpy.") and name.removeprefix("numpy.") in CREATION:
        return "array that can be assigned to, with `like=x`"
    without, cannot = reasons(WITHOUT_DERIVATIVE).get(name), reasons(CANNOT_DISPATCH).get(name)
    if without is not None:
        return f"no derivative: {without}"
    if cannot is not None:
        return f"cannot dispatch: {cannot}"
    return "no rule yet" if name in MISSING.split() else ""


def statuses() -> dict[str, str]:
    return {
        f"{title}.{name}": status(f"{title}.{name}", function)
        for title, module in MODULES.items()
        for name, function in sorted(public(module).items())
    }


def page() -> str:
    """The text of the page, from the registry and the tables above."""
    found = statuses()
    counts: dict[str, int] = {}
    for what in found.values():
        kind = what.partition(":")[0].partition(",")[0]
        counts[kind] = counts.get(kind, 0) + 1
    lines = [
        "# Coverage",
        "",
        f"What becomes of every public function of NumPy {WRITTEN_FOR} when it is given a traced value. The forms are",
        "those of the [registry](../shared/core/registry.py): a *rule* has a derivative of its own, a *composite* is",
        "rewritten in terms of others, a *constant* has derivative zero wherever it has one. Where NumPy does not ask",
        "the argument what to do, no library can.",
        "",
        "| | functions |",
        "| --- | ---: |",
        *(f"| {kind} | {counts[kind]} |" for kind in sorted(counts)),
    ]
    for title in MODULES:
        lines += ["", f"## {title}", "", "| function | |", "| --- | --- |"]
        lines += [
            f"| `{name.removeprefix(f'{title}.')}` | {what} |"
            for name, what in found.items()
            if name.rpartition(".")[0] == title
        ]
    lines += [
        "",
        "`python -m tests.test_coverage` writes this page.",
    ]
    return "\n".join(lines) + "\n"


def version() -> str:
    return ".".join(np.__version__.split(".")[:2])


def test_every_public_function_is_accounted_for() -> None:
    assert [name for name, what in statuses().items() if not what] == []


def test_nothing_is_said_of_a_function_that_has_a_rule() -> None:
    said = {**reasons(WITHOUT_DERIVATIVE), **reasons(CANNOT_DISPATCH), **dict.fromkeys(MISSING.split(), "")}
    functions = {f"{title}.{name}": f for title, module in MODULES.items() for name, f in public(module).items()}
    assert [name for name in said if name in functions and functions[name] in REGISTRY] == []
    assert set(said) - set(functions) <= ABSENT.get(version(), set()) | {"numpy.row_stack"}


def test_what_cannot_dispatch_does_not_ask_its_argument() -> None:
    for name in reasons(CANNOT_DISPATCH):
        title, _, short = name.rpartition(".")
        function = getattr(MODULES[title], short, None)
        takes_like = name.removeprefix("numpy.") in (
            ["frombuffer", "fromfile", "fromfunction", "fromiter", "fromstring", "genfromtxt", "loadtxt", "tri"]
        )
        assert not isinstance(function, np.ufunc), name
        assert takes_like or not hasattr(function, "_implementation"), name


@pytest.mark.skipif(version() not in ABSENT, reason="a version of NumPy that the tables do not know")
def test_the_page_lists_what_each_version_of_numpy_has() -> None:
    listed = set()
    title = ""
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            title = line.removeprefix("## ")
        elif line.startswith("| `"):
            listed.add(f"{title}.{line.split('`')[1]}")
    found = set(statuses())
    assert listed - found == ABSENT[version()]
    assert found - listed == GONE[version()]


@pytest.mark.skipif(version() != WRITTEN_FOR, reason=f"the page is written for NumPy {WRITTEN_FOR}")
def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m tests.test_coverage"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    sys.stdout.write(f"{PAGE} is written\n")
