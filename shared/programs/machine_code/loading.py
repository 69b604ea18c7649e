"""Compiled C called from Python: libraries loaded, workspaces, and what a status means.

A function reads the contents of numbers, arrays and tuples where CPython and NumPy keep them (NumPy's own C interface
promises that place for arrays); `layout` finds these places and tries them out, so that another interpreter is refused
and not misread.  The routines of BLAS are those of SciPy, through the addresses that it offers to Cython.  This module
knows no programs.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from shared.programs.machine_code.compiler import CompilerError
from shared.programs.machine_code.emission import FLAGS, NOT_CONTIGUOUS, OUT_OF_RANGE, Layout
from shared.programs.machine_code.kernels import DEPARTED

_ROUTINES = ("dgemm", "dgemv", "sgemm", "sgemv")


@cache
def layout() -> Layout:
    """Where contents of objects lie.  Raises CompilerError where they do not lie there after all."""
    head, tuple_head = object.__basicsize__, tuple.__basicsize__
    found = Layout(head, head + 48, tuple_head)
    array, turned = np.arange(6.0).reshape(2, 3), np.ones((3, 2)).T
    items = (array, turned)
    right = (
        all(
            ctypes.c_void_p.from_address(id(a) + head).value == a.ctypes.data
            and bool(ctypes.c_int.from_address(id(a) + found.flags).value & 1) is a.flags.c_contiguous
            and bool(ctypes.c_int.from_address(id(a) + found.flags).value & 256) is a.flags.aligned
            for a in items
        )
        and all(ctypes.c_double.from_address(id(x) + head).value == x for x in (1.5, np.float64(2.5)))
        and ctypes.c_float.from_address(id(x := np.float32(3.5)) + head).value == x
        and [ctypes.c_void_p.from_address(id(items) + tuple_head + 8 * k).value for k in (0, 1)] == [*map(id, items)]
    )
    if not right:
        raise CompilerError("this interpreter keeps numbers and arrays in other places")
    return found


@cache
def routines() -> Any:
    """The addresses of BLAS routines as an array of C; None without SciPy."""
    try:
        from scipy.linalg import cython_blas
    except ImportError:
        return None
    api = ctypes.pythonapi  # by [], these functions are ours alone: others give them types, too
    name_of, pointer_of = api["PyCapsule_GetName"], api["PyCapsule_GetPointer"]
    name_of.restype, name_of.argtypes = ctypes.c_char_p, [ctypes.py_object]
    pointer_of.restype, pointer_of.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    found = []
    for name in _ROUTINES:
        capsule = cython_blas.__pyx_capi__.get(name)
        signature = b"" if capsule is None else name_of(capsule)
        if signature.count(b"int *") < (6 if name.endswith("mm") else 5):
            return None  # with other integers
        found.append(pointer_of(capsule, signature))
    return (ctypes.c_void_p * len(found))(*found)


def load(path: Path, names: list[str]) -> list[Callable[[int, Any], int]]:
    """The functions of a library.  Raises CompilerError where it cannot be loaded."""
    try:
        loaded = ctypes.CDLL(str(path))
        functions = [getattr(loaded, name) for name in names]
    except (OSError, AttributeError) as error:
        raise CompilerError(f"the compiled code cannot be loaded: {error}") from None
    for function in functions:
        function.argtypes, function.restype = [ctypes.c_void_p, ctypes.py_object], ctypes.c_int
    if (addresses := routines()) is not None:
        loaded.connect(ctypes.byref(addresses))
    return functions


class Workspace:
    """Memory of one call: its address, and the numbers that it begins with, read as each type."""

    __slots__ = ("address", "doubles", "floats", "memory", "truths")

    def __init__(self, size: int, numbers: int):
        self.memory = np.empty(size + 64, np.uint8)
        start = -(-self.memory.ctypes.data // 64) * 64
        self.address = ctypes.c_void_p(start)
        self.doubles = (ctypes.c_double * numbers).from_address(start)
        self.floats = (ctypes.c_float * (2 * numbers)).from_address(start)
        self.truths = (ctypes.c_ubyte * (8 * numbers)).from_address(start)


class FlaggedError(ArithmeticError):
    """A floating-point flag was raised that NumPy would tell of."""


def settled(function: Callable[..., int], address: Any, objects: tuple[Any, ...], status: int, strict: bool) -> int:
    """What to do about a status that is not 0: the status of a branch that went another way, or 0.

    Arrays that are not contiguous are copied, and the function is called again.  Raises IndexError, and FlaggedError
    where np.errstate does not ignore what was flagged, or (`strict`) wherever Python's own arithmetic may raise.
    """
    if status == NOT_CONTIGUOUS:
        objects = tuple([np.require(o, None, ("C", "A")) if isinstance(o, np.ndarray) else o for o in objects])
        status = function(address, objects)
    if status <= DEPARTED:
        return status
    if status == OUT_OF_RANGE:
        raise IndexError("an index is out of range")
    if status < 0:
        raise FlaggedError("an array is not contiguous")
    if status:
        settings: dict[str, Any] = {**np.geterr()}
        for bit, name in enumerate(FLAGS):
            if status >> bit & 1 and (settings[name] != "ignore" or (strict and name != "under")):
                raise FlaggedError(name)
    return 0
