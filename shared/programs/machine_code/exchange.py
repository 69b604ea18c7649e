"""Machine code in the place of a variant's text: compiled in the background, swapped in when it is there.

The text stays what runs where machine code cannot: where a floating-point flag was raised that NumPy would tell of,
where an index is out of range.  If that happens in most calls, the text comes back for good.  This module knows
nothing of how C is written.
"""

from __future__ import annotations

import os
import threading
import warnings
from typing import TYPE_CHECKING, Any

from shared.calling.transformed import readable_name
from shared.core.visible import one_line
from shared.programs.compiling.rewriting import rewritten
from shared.programs.machine_code.compiler import CompilerError
from shared.programs.machine_code.machine import MachineCode, RefusedError, compile_together
from shared.programs.simplification import simplify

if TYPE_CHECKING:
    from shared.programs.compiling.compiled import Variant

#: The text comes back if it had to step in this often, and in every second call.
_MOST_REFUSALS = 32


class Machine:
    """The machine code of one variant: on its way, there, or out of reach."""

    def __init__(self, variant: Variant, warns: bool):
        self._done = threading.Event()
        self._variant = variant
        self._warns = warns
        self._process = os.getpid()
        self._text_attempt = variant.attempt
        #: calls that the text had to step in for
        self.refusals = 0
        #: why there is none, if so
        self.why = ""
        #: the C, with the Python that calls it as comments; empty until it runs
        self.source = ""

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is known whether there is any, and say so; a process that was forked meanwhile has none."""
        if os.getpid() != self._process and not self._done.is_set():
            return False
        return self._done.wait(timeout) and not self.why

    def make(self) -> None:
        """Compile, and swap it in; never raises."""
        try:
            code = MachineCode(rewritten(simplify(self._variant.program)))
            compile_together([code])
            self.exchange(code)
        except (RefusedError, CompilerError) as error:
            self.why = one_line(str(error))
        except Exception as error:  # a mistake in here must not end a program that runs well without it
            self.why = one_line(f"{type(error).__name__}: {error}")
        if self.why and self._warns:
            self._variant.replace(self._warned)
        self._done.set()

    def exchange(self, code: MachineCode) -> None:
        """Let compiled code run in the place of the text."""
        attempt = self._variant.attempted(code.text, code.namespace, self._otherwise)
        self.source = code.source
        self._variant.replace(attempt)

    def _otherwise(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        self.refusals += 1
        if self.refusals > _MOST_REFUSALS and 2 * self.refusals > self._variant.calls:
            self.source, self.why = "", "in most calls it has to be told of a floating-point flag"
            self._variant.replace(self._text_attempt)
        return self._text_attempt(args, kwargs)

    def _warned(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        self._variant.replace(self._text_attempt)
        warnings.warn(
            one_line(f"compile: {readable_name(self._variant.function)} runs as NumPy source and not as machine code, "
                     f'since {self.why}; backend="auto" is silent about that'),
            stacklevel=3,
        )  # fmt: skip
        return self._text_attempt(args, kwargs)
