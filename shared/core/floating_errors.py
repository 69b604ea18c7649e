"""NumPy's floating-point error handling (`np.errstate`): which one is in effect, so that it can be in effect again.

What an operation computes is computed again later: by a sweep over a tape, by a record, by compiled text.  Each of
them has to treat an overflow as the program did that the operation stands in.  This module knows nothing of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any, TypeVar

import numpy as np

Settings = Mapping[str, Any]
T = TypeVar("T")


def _all_settings() -> Any:
    return (*np.geterr().items(), ("call", np.geterrcall()))


def _find_variable() -> Any:
    """The context variable in which NumPy keeps all settings as one object; None if there is none that it exchanges.

    Looking at the identity of that object takes a fiftieth of the time of asking for the settings.
    """
    try:
        from numpy._core.umath import _extobj_contextvar as variable
    except ImportError:
        return None
    before = variable.get()
    with np.errstate(divide="raise"):
        is_exchanged = variable.get() is not before
    return variable if is_exchanged and variable.get() is before else None


_variable = _find_variable()

#: What stands for the settings in effect: an object that stays the same as long as they do.
error_settings: Callable[[], Any] = _all_settings if _variable is None else _variable.get

#: The settings where `restoring` began.
_OUTSIDE: ContextVar[Settings | None] = ContextVar("settings outside of a sweep", default=None)


def settings_beyond(token: Any, outside: Any) -> Settings:
    """Those settings, as keywords of np.errstate, in which one token of `error_settings` differs from another.

    >>> before = error_settings()
    >>> with np.errstate(over="raise"):
    ...     settings_beyond(error_settings(), before)
    {'over': 'raise'}
    """
    ours, others = _settings_of(token), _settings_of(outside)
    return {name: how for name, how in ours.items() if others[name] != how}


def _settings_of(token: Any) -> dict[str, Any]:
    if _variable is None:
        return dict(token)
    before = _variable.get()
    try:
        _variable.set(token)
        found = dict(_all_settings())
        _variable.set(before)
    except BaseException:
        # Again, if it was interrupted.
        _variable.set(before)
        raise
    return found


def restoring(call: Callable[[], T]) -> T:
    """The value of `call()`, within which `switch` may change NumPy's settings; afterwards they are what they were."""
    before, outside = error_settings(), _OUTSIDE.get()

    def restore() -> None:
        _OUTSIDE.set(outside)
        if _variable is not None:
            _variable.set(before)
        else:
            _set(dict(before))

    try:
        _OUTSIDE.set(dict(_all_settings()))
        found = call()
        restore()
    except BaseException:
        # Again, if it was interrupted.
        restore()
        raise
    return found


def switch(settings: Settings) -> None:
    """Set NumPy's settings to what they were where `restoring` began, but for these."""
    _set({**(_OUTSIDE.get() or {}), **settings})


def _set(settings: dict[str, Any]) -> None:
    np.seterrcall(settings.pop("call", None))
    np.seterr(**settings)
