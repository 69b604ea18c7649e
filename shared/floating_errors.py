"""NumPy's floating-point error handling (`np.errstate`): which one is in effect, so that it can be in effect again.

What an operation computes is computed again later: by a sweep over a tape, by a record, by compiled text.  Each of
them has to treat an overflow as the program did that the operation stands in.  This module knows nothing of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


def _of_settings() -> Any:
    return tuple(np.geterr().items())


def _getter() -> Callable[[], Any]:
    # NumPy keeps the settings in one object that is exchanged by each np.errstate and np.seterr, so looking at its
    # identity takes a fiftieth of the time of asking for the settings.
    try:
        from numpy._core.umath import _extobj_contextvar  # type: ignore[attr-defined]
    except ImportError:
        return _of_settings
    get: Callable[[], Any] = _extobj_contextvar.get
    before = get()
    with np.errstate(divide="raise"):
        is_exchanged = get() is not before
    return get if is_exchanged and get() is before else _of_settings


#: What stands for the settings in effect: while they stay the same, so does this object.
error_settings: Callable[[], Any] = _getter()


def settings_beyond(outside: dict[str, str]) -> dict[str, Any]:
    """The settings in effect, as keywords of np.errstate, where they differ from those `outside`.

    >>> with np.errstate(over="ignore"):
    ...     settings_beyond({**np.geterr(), "over": "warn"})
    {'over': 'ignore'}
    """
    found: dict[str, Any] = {name: how for name, how in np.geterr().items() if outside[name] != how}
    if "call" in found.values() or "log" in found.values():
        found["call"] = np.geterrcall()
    return found
